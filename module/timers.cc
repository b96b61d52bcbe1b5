#include "module/timers.h"

namespace igor {

Timers& Timers::global() {
  static Timers* timers = new Timers;
  return *timers;
}

Timers::~Timers() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

Timers::Id Timers::schedule(TimePoint at, std::function<void()> function) {
  std::lock_guard lock(mutex_);
  if (!thread_.started() && thread_.start("igor-timers", [this] { loop(); }, 256u << 10) != 0) return 0;
  const Id id = ++last_;
  const auto place = queue_.emplace(at, std::make_pair(id, std::move(function)));
  times_.emplace(id, at);
  if (place == queue_.begin()) changed_.notify_one();
  return id;
}

void Timers::cancel(Id id) {
  std::function<void()> dropped;  // its captures may own things: destroyed without the lock
  std::lock_guard lock(mutex_);
  const auto time = times_.find(id);
  if (time == times_.end()) return;
  const auto [begin, end] = queue_.equal_range(time->second);
  for (auto entry = begin; entry != end; ++entry) {
    if (entry->second.first != id) continue;
    dropped.swap(entry->second.second);
    queue_.erase(entry);
    break;
  }
  times_.erase(time);
}

void Timers::loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = queue_.begin();
    if (const TimePoint at = first->first; at > now()) {
      changed_.wait_until(lock, at);
      continue;
    }
    times_.erase(first->second.first);
    std::function<void()> function = std::move(first->second.second);
    queue_.erase(first);
    lock.unlock();
    function();
    function = nullptr;
    lock.lock();
  }
}

}  // namespace igor
