#include "module/timers.h"

#include <algorithm>
#include <new>
#include <utility>

namespace igor {
namespace {
constexpr Duration kTryAgain = std::chrono::milliseconds(50);  // what ran out of memory
}

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

int Timers::start() noexcept {
  std::lock_guard lock(mutex_);
  return start_locked();
}

int Timers::start_locked() noexcept {
  return thread_.started() ? 0 : thread_.start("igor-timers", [this] { loop(); }, 256u << 10);
}

Timers::Id Timers::schedule(TimePoint at, Function function) noexcept {
  std::lock_guard lock(mutex_);
  if (start_locked() != 0) return 0;
  if (free_.size() <= kAhead) grow();
  if (free_.empty()) return 0;
  const uint32_t index = free_.back();
  free_.pop_back();
  Place& place = places_[index];
  place.at = at;
  place.order = ++last_order_;
  place.function = std::move(function);
  insert(index);
  if (heap_.front() == index) changed_.notify_one();
  return static_cast<uint64_t>(place.uses) << 32 | (index + 1);
}

void Timers::cancel(Id id) noexcept {
  Function dropped;  // its captures may own things: destroyed without the lock
  std::lock_guard lock(mutex_);
  const uint32_t index = static_cast<uint32_t>(id) - 1;
  if (index >= places_.size() || places_[index].uses != id >> 32 || places_[index].in_heap == kNotInHeap) return;
  dropped = std::move(places_[index].function);
  remove(index);
  give_back(index);
}

void Timers::loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (heap_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const uint32_t index = heap_.front();
    if (const TimePoint at = places_[index].at; at > now()) {
      changed_.wait_until(lock, at);
      continue;
    }
    remove(index);
    Function function = std::move(places_[index].function);
    lock.unlock();
    bool ran = true;
    try {
      function();
    } catch (const std::bad_alloc&) {
      ran = false;
    }
    if (ran) function.reset();
    lock.lock();
    if (ran) {
      give_back(index);
    } else {
      places_[index].function = std::move(function);
      places_[index].at = after(now(), kTryAgain);
      insert(index);
    }
  }
}

// --- the table ---------------------------------------------------------------------------------------

// All or nothing: whatever could be had is kept, but only places that all three have room for count.
void Timers::grow() noexcept {
  const size_t size = std::max(2 * places_.size(), 2 * kAhead);
  try {
    heap_.reserve(size);
    free_.reserve(size);
    places_.reserve(size);
  } catch (const std::bad_alloc&) {
    return;
  }
  while (places_.size() < size) {
    places_.emplace_back().in_heap = kNotInHeap;
    free_.push_back(static_cast<uint32_t>(places_.size() - 1));
  }
}

void Timers::give_back(uint32_t place) noexcept {
  if (++places_[place].uses != 0) free_.push_back(place);  // never the same id twice
}

bool Timers::earlier(uint32_t one, uint32_t other) const noexcept {
  const Place& a = places_[one];
  const Place& b = places_[other];
  return a.at != b.at ? a.at < b.at : a.order < b.order;
}

void Timers::put(size_t at, uint32_t place) noexcept {
  heap_[at] = place;
  places_[place].in_heap = static_cast<uint32_t>(at);
}

void Timers::rise(size_t at) noexcept {
  const uint32_t place = heap_[at];
  for (; at > 0 && earlier(place, heap_[(at - 1) / 2]); at = (at - 1) / 2) put(at, heap_[(at - 1) / 2]);
  put(at, place);
}

void Timers::sink(size_t at) noexcept {
  const uint32_t place = heap_[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && earlier(heap_[child + 1], heap_[child])) ++child;
    if (!earlier(heap_[child], place)) break;
    put(at, heap_[child]);
    at = child;
  }
  put(at, place);
}

void Timers::insert(uint32_t place) noexcept {
  heap_.push_back(place);
  rise(heap_.size() - 1);
}

void Timers::remove(uint32_t place) noexcept {
  const size_t at = std::exchange(places_[place].in_heap, kNotInHeap);
  const uint32_t last = heap_.back();
  heap_.pop_back();
  if (last == place) return;
  put(at, last);
  sink(at);
  rise(places_[last].in_heap);
}

}  // namespace igor
