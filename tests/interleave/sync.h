// The primitives of module/sync.h for a build in which a scheduler decides who goes on: each operation is a
// step, before which the scheduler may let any other virtual thread run first (see scheduler.h).
//
// One operating system thread runs all virtual threads, so the values themselves are plain. Memory is
// sequentially consistent: memory orders are taken and not modelled. What a weaker order would allow is left to
// ThreadSanitizer and to the comments beside those orders. A compare_exchange_weak does not fail without cause,
// and a futex_wait does not return without one.
//
// Not steps of their own: unlocking (it can only let others on, who are asked before their next step anyway),
// and making an object. Destroying one is an event that must not race with a step (see Object).
//
// Relaxed additions commute with each other: in the core nobody looks at what one returns but the task that
// takes its number from it, for which any order will do.
//
// Outside of virtual threads (static objects, the explorer between two executions) operations are plain.
#pragma once

#include <atomic>  // memory orders
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <shared_mutex>

#include "module/clock.h"
#include "tests/interleave/object.h"

namespace igor {

template <typename T>
class Atomic {
 public:
  Atomic() noexcept = default;
  Atomic(T value) noexcept : value_(value) {}  // NOLINT: as std::atomic
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(std::memory_order = std::memory_order_seq_cst) const noexcept {
    interleave::step(interleave::Kind::Load, object_);
    return value_;
  }
  operator T() const noexcept { return load(); }
  void store(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    interleave::step(interleave::Kind::Store, object_);
    value_ = value;
  }
  T operator=(T value) noexcept {
    store(value);
    return value;
  }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    interleave::step(interleave::Kind::Modify, object_);
    return std::exchange(value_, value);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order = std::memory_order_seq_cst,
                               std::memory_order = std::memory_order_seq_cst) noexcept {
    interleave::step(interleave::Kind::Modify, object_);
    if (value_ == expected) {
      value_ = desired;
      return true;
    }
    expected = value_;
    return false;
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success = std::memory_order_seq_cst,
                             std::memory_order failure = std::memory_order_seq_cst) noexcept {
    return compare_exchange_strong(expected, desired, success, failure);
  }
  T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
    interleave::step(order == std::memory_order_relaxed ? interleave::Kind::Add : interleave::Kind::Modify, object_);
    return std::exchange(value_, static_cast<T>(value_ + value));
  }
  T fetch_sub(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
    return fetch_add(static_cast<T>(0 - value), order);
  }
  T operator+=(T value) noexcept { return static_cast<T>(fetch_add(value) + value); }
  T operator++() noexcept { return static_cast<T>(fetch_add(1) + 1); }

 private:
  friend void futex_wait(Atomic<uint32_t>& word, uint32_t expected, TimePoint deadline) noexcept;
  friend void futex_wake_all(Atomic<uint32_t>& word) noexcept;

  T value_{};
  interleave::Object object_;
};

// Its steps are left out where a scenario does not ask for them: the many orders in which owners let go differ
// in nothing but who destroys.
class ReferenceCount {
 public:
  ReferenceCount(uint32_t value) noexcept : value_(value) {}  // NOLINT: as std::atomic
  ReferenceCount(const ReferenceCount&) = delete;
  ReferenceCount& operator=(const ReferenceCount&) = delete;

  uint32_t fetch_add(uint32_t value, std::memory_order) noexcept {
    interleave::count_step(interleave::Kind::Add, object_);
    return std::exchange(value_, value_ + value);
  }
  uint32_t fetch_sub(uint32_t value, std::memory_order) noexcept {
    interleave::count_step(interleave::Kind::Modify, object_);
    return std::exchange(value_, value_ - value);
  }

 private:
  uint32_t value_;
  interleave::Object object_;
};

// No step: no decision that matters may depend on it.
template <typename T>
class Hint {
 public:
  explicit Hint(T value) noexcept : value_(value) {}
  T get() const noexcept { return value_; }
  void set(T value) noexcept { value_ = value; }

 private:
  T value_;
};

inline void cpu_relax() noexcept {}

class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() { interleave::lock(state_, false); }
  void unlock() { interleave::unlock(state_, false); }

 private:
  friend class Condition;
  interleave::LockState state_;
};

class SharedMutex {
 public:
  SharedMutex() = default;
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void lock() { interleave::lock(state_, false); }
  void unlock() { interleave::unlock(state_, false); }
  void lock_shared() { interleave::lock(state_, true); }
  void unlock_shared() { interleave::unlock(state_, true); }

 private:
  interleave::LockState state_;
};

// notify_one() wakes the one that has waited longest.
class Condition {
 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  void notify_one() noexcept { interleave::notify(object_, false); }
  void notify_all() noexcept { interleave::notify(object_, true); }

  void wait(std::unique_lock<Mutex>& lock) { interleave::wait(object_, lock.mutex()->state_, kNever); }
  std::cv_status wait_until(std::unique_lock<Mutex>& lock, TimePoint deadline) {
    return interleave::wait(object_, lock.mutex()->state_, deadline) ? std::cv_status::no_timeout
                                                                     : std::cv_status::timeout;
  }
  template <typename Predicate>
  void wait(std::unique_lock<Mutex>& lock, Predicate predicate) {
    while (!predicate()) wait(lock);
  }
  template <typename Predicate>
  bool wait_until(std::unique_lock<Mutex>& lock, TimePoint deadline, Predicate predicate) {
    while (!predicate()) {
      if (wait_until(lock, deadline) == std::cv_status::timeout) return predicate();
    }
    return true;
  }
  template <typename Predicate>
  bool wait_for(std::unique_lock<Mutex>& lock, Duration time, Predicate predicate) {
    return wait_until(lock, after(now(), time), predicate);
  }

 private:
  interleave::Object object_;
};

inline void futex_wait(Atomic<uint32_t>& word, uint32_t expected, TimePoint deadline) noexcept {
  interleave::sleep(word.object_, word.value_, expected, deadline);
}
inline void futex_wake_all(Atomic<uint32_t>& word) noexcept {
  interleave::wake(word.object_);
}

}  // namespace igor
