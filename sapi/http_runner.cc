#include "sapi/http_runner.h"

#include <pthread.h>

#include <algorithm>

#include "module/activity.h"
#include "module/os_thread.h"
#include "sapi/http_request.h"
#include "sapi/http_script.h"
#include "sapi/php_thread.h"

namespace igor::sapi {
namespace {

// The threads that call in are the host's, made with the system's default stack: `ulimit -s`, or 128 KiB with
// some C libraries, where PHP wants megabytes. Before main(), because the host makes them soon after.
[[gnu::constructor(101)]] void give_every_thread_room() {
  pthread_attr_t attributes;
  if (pthread_getattr_default_np(&attributes) != 0) return;
  size_t now = 0;
  if (pthread_attr_getstacksize(&attributes, &now) == 0 && now < OsThread::kDefaultStackBytes &&
      pthread_attr_setstacksize(&attributes, OsThread::kDefaultStackBytes) == 0) {
    pthread_setattr_default_np(&attributes);
  }
  pthread_attr_destroy(&attributes);
}

}  // namespace

// What a thread that has called in keeps. Made and used by that thread; `current` and the numbers are read by
// others, under the mutex.
struct HttpRunner::Caller {
  explicit Caller(HttpRunner& its_runner) : runner(its_runner) {}

  HttpRunner& runner;
  std::unique_ptr<PhpThread> php;
  uint64_t epoch = 0;
  uint32_t index = 0;
  HttpRequest* current = nullptr;
  bool lost = false;
  TimePoint since{};
  uint64_t requests = 0;
  uint32_t since_fresh = 0;  // requests of this engine state
};

struct HttpRunner::Holder {
  std::unique_ptr<Caller> caller;
  ~Holder() {
    if (caller) caller->runner.thread_ends(caller.get());
  }
};

void HttpRunner::open(uint32_t max_requests) {
  std::lock_guard lock(mutex_);
  max_requests_ = max_requests;
  open_ = true;
}

// The calling thread's; its engine state is made if need be, without the lock, because that takes a while.
HttpRunner::Caller& HttpRunner::caller(std::unique_lock<std::mutex>& lock) {
  thread_local Holder holder;
  if (!holder.caller) holder.caller = std::make_unique<Caller>(*this);
  Caller& self = *holder.caller;
  if (self.php && self.epoch == epoch_) return self;
  const auto place = std::find(callers_.begin(), callers_.end(), nullptr);
  self.index = static_cast<uint32_t>(place - callers_.begin());
  if (place == callers_.end()) {
    callers_.push_back(&self);
  } else {
    *place = &self;
  }
  self.epoch = epoch_;
  self.since_fresh = 0;
  lock.unlock();
  self.php.reset();  // of an engine that is gone, and which took what it had
  self.php = std::make_unique<PhpThread>(PhpThread::Kind::Http, "http-" + std::to_string(self.index));
  lock.lock();
  return self;
}

// Leaves again however the run ends; after the lock, which it takes itself, was let go of.
struct HttpRunner::Visit {
  explicit Visit(HttpRunner& its_runner) : runner(its_runner) { activity::thread_started(); }
  ~Visit() {
    activity::thread_stopped();
    if (!counted) return;
    std::lock_guard lock(runner.mutex_);
    if (caller != nullptr) {
      caller->current = nullptr;
      caller->since = now();
    }
    if (--runner.running_ == 0) runner.none_runs_.notify_all();
  }

  const AsyncSignalsBlocked blocked{};
  HttpRunner& runner;
  Caller* caller = nullptr;
  bool counted = false;
};

bool HttpRunner::run(HttpRequest& request) {
  Visit visit(*this);
  std::unique_lock lock(mutex_);
  if (!open_) {
    lock.unlock();
    request.refuse();
    return false;
  }
  ++running_;  // before the lock is let go of: stop() waits for this thread
  visit.counted = true;
  Caller& self = caller(lock);
  visit.caller = &self;
  self.current = &request;
  self.since = now();
  ++self.requests;
  ++requests_;
  const bool worn = max_requests_ != 0 && ++self.since_fresh >= max_requests_;
  lock.unlock();
  run_http_script(*self.php, request);
  if (worn) {
    self.php->recycle();
    self.since_fresh = 0;
  }
  return true;
}

bool HttpRunner::stop(std::chrono::milliseconds grace) {
  constexpr std::chrono::seconds kInterruptFor(1);
  constexpr std::chrono::milliseconds kInterruptEvery(20);
  std::unique_lock lock(mutex_);
  open_ = false;
  const auto none = [&] { return running_ == 0; };
  none_runs_.wait_for(lock, grace, none);
  // Again and again, because a single nudge can fall between two system calls.
  for (const TimePoint until = after(now(), kInterruptFor); !none() && now() < until;) {
    for (Caller* caller : callers_) {
      if (caller == nullptr || caller->current == nullptr) continue;
      caller->current->abort();
      caller->php->request_interrupt();
      caller->php->nudge();
    }
    none_runs_.wait_for(lock, kInterruptEvery, none);
  }
  for (Caller* caller : callers_) {
    if (caller != nullptr) caller->lost = caller->current != nullptr;
  }
  return none();
}

void HttpRunner::forget_threads() {
  std::lock_guard lock(mutex_);
  for (Caller* caller : callers_) {
    if (caller != nullptr && caller->php) caller->php->forget();
  }
  callers_.clear();
  ++epoch_;
}

bool HttpRunner::only_resting() const {
  std::lock_guard lock(mutex_);
  const auto resting = std::count_if(callers_.begin(), callers_.end(), [](const Caller* caller) {
    return caller != nullptr && caller->current == nullptr;
  });
  return PhpThread::attached() == static_cast<size_t>(resting);
}

void HttpRunner::thread_ends(Caller* caller) noexcept {
  // Under the lock, so that the engine is not torn down meanwhile.
  std::lock_guard lock(mutex_);
  if (caller->epoch == epoch_ && caller->index < callers_.size() && callers_[caller->index] == caller) {
    callers_[caller->index] = nullptr;
  }
  caller->php.reset();
}

HttpRunner::Load HttpRunner::load() const {
  std::lock_guard lock(mutex_);
  Load load;
  load.requests = requests_;
  for (const Caller* caller : callers_) {
    if (caller == nullptr) continue;
    Thread thread;
    thread.name = "http-" + std::to_string(caller->index);
    if (caller->current != nullptr) {
      ++load.busy;
      thread.request.append(caller->current->method()).append(" ").append(caller->current->request_uri());
    }
    thread.lost = caller->lost;
    thread.since = caller->since;
    thread.requests = caller->requests;
    load.threads.push_back(std::move(thread));
  }
  return load;
}

}  // namespace igor::sapi
