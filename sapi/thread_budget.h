// How many threads may be added under load beyond the configured ones, for all pools together.
//
// A count and nothing else: whoever wants to add a thread takes one, and puts it back when that thread (or
// another one in its place) has ended. take_anyway() is for threads that exist already, such as those that a
// successor starts because its predecessor had so many: the bound is then exceeded until they end.
//
// Threads: any. No locks.
#pragma once

#include <atomic>
#include <cstdint>

namespace igor::sapi {

class ThreadBudget {
 public:
  void set_bound(uint32_t bound) noexcept { bound_.store(bound, std::memory_order_relaxed); }

  bool take() noexcept {
    uint32_t used = used_.load(std::memory_order_relaxed);
    do {
      if (used >= bound_.load(std::memory_order_relaxed)) return false;
    } while (!used_.compare_exchange_weak(used, used + 1, std::memory_order_relaxed));
    return true;
  }
  void take_anyway() noexcept { used_.fetch_add(1, std::memory_order_relaxed); }
  void put_back() noexcept { used_.fetch_sub(1, std::memory_order_relaxed); }

  uint32_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  bool any_left() const noexcept { return used() < bound_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> bound_{0};
  std::atomic<uint32_t> used_{0};
};

}  // namespace igor::sapi
