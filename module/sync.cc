#include "module/sync.h"

#ifndef IGOR_INTERLEAVE

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace igor {

void futex_wait(Atomic<uint32_t>& word, uint32_t expected, TimePoint deadline) noexcept {
  timespec until{};
  timespec* timeout = nullptr;
  if (deadline != kNever) {
    const auto ns = deadline.time_since_epoch().count();
    until.tv_sec = ns > 0 ? ns / 1'000'000'000 : 0;
    until.tv_nsec = ns > 0 ? ns % 1'000'000'000 : 0;
    timeout = &until;
  }
  // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, so a retry needs no arithmetic.
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_BITSET_PRIVATE, expected, timeout, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

void futex_wake_all(Atomic<uint32_t>& word) noexcept {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

}  // namespace igor

#endif
