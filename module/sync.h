// The primitives that threads of the core meet on: atomics, locks, and sleeping on a word.
//
// The core uses these names and never the standard ones, so that a test can put a scheduler of its own
// under the very same code and try out every order of their steps: IGOR_INTERLEAVE, when defined, is the header
// that declares them instead, and now() too (see docs/architecture/proof.md). In every other build they are the
// standard library's and the kernel's, at no cost.
#pragma once

#ifdef IGOR_INTERLEAVE
#include IGOR_INTERLEAVE
#else

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "module/clock.h"

namespace igor {

template <typename T>
using Atomic = std::atomic<T>;
using SharedMutex = std::shared_mutex;
// Counts the owners of an object. A name of its own, because a scheduler may leave its steps out.
using ReferenceCount = std::atomic<uint32_t>;

// A number that guides a guess and orders nothing: whoever reads it must be right with any value.
template <typename T>
class Hint {
 public:
  explicit Hint(T value) noexcept : value_(value) {}
  T get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void set(T value) noexcept { value_.store(value, std::memory_order_relaxed); }

 private:
  std::atomic<T> value_;
};

// One turn of a loop that waits for another CPU.
inline void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

// The core holds its locks for a fraction of a microsecond, and sleeping costs fifty: whoever finds one taken looks
// again a few times first.
class Mutex {
 public:
  void lock() {
    for (int i = 0; i < kLooks; ++i) {
      if (mutex_.try_lock()) return;
      cpu_relax();
    }
    mutex_.lock();
  }
  bool try_lock() { return mutex_.try_lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  friend class Condition;
  static constexpr int kLooks = 40;
  std::mutex mutex_;
};

class Condition {
 public:
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }
  void wait(std::unique_lock<Mutex>& lock) {
    const Borrowed borrowed(lock);
    condition_.wait(borrowed.lock);
  }
  std::cv_status wait_until(std::unique_lock<Mutex>& lock, TimePoint deadline) {
    const Borrowed borrowed(lock);
    return condition_.wait_until(borrowed.lock, deadline);
  }
  template <typename Predicate>
  bool wait_until(std::unique_lock<Mutex>& lock, TimePoint deadline, Predicate predicate) {
    const Borrowed borrowed(lock);
    return condition_.wait_until(borrowed.lock, deadline, std::move(predicate));
  }
  template <typename Predicate>
  bool wait_for(std::unique_lock<Mutex>& lock, Duration time, Predicate predicate) {
    const Borrowed borrowed(lock);
    return condition_.wait_for(borrowed.lock, time, std::move(predicate));
  }

 private:
  // The same lock as the standard library's condition wants it.
  struct Borrowed {
    explicit Borrowed(std::unique_lock<Mutex>& held) : lock(held.mutex()->mutex_, std::adopt_lock) {}
    ~Borrowed() { lock.release(); }
    mutable std::unique_lock<std::mutex> lock;
  };
  std::condition_variable condition_;
};

// Sleeps while the word is `expected`, until somebody wakes those who sleep on it or the deadline (kNever:
// none). May return without cause. The word must outlive the call.
void futex_wait(Atomic<uint32_t>& word, uint32_t expected, TimePoint deadline) noexcept;
void futex_wake_all(Atomic<uint32_t>& word) noexcept;

}  // namespace igor

#endif
