// Time as the core sees it: a monotonic point in nanoseconds. Policies (backoff, breaker) take `now` as
// an argument and so are tested without waiting; only waits and timers read the clock.
#pragma once

#include <chrono>

namespace igor {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;  // CLOCK_MONOTONIC

#ifdef IGOR_INTERLEAVE
TimePoint now() noexcept;  // virtual, see module/sync.h
#else
inline TimePoint now() noexcept {
  return std::chrono::steady_clock::now();
}
#endif

inline constexpr TimePoint kNever = TimePoint::max();

// Saturates: a duration beyond the clock's range means never.
inline TimePoint after(TimePoint from, Duration delay) noexcept {
  return delay >= kNever - from ? kNever : from + delay;
}

}  // namespace igor
