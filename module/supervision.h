// When a worker whose script ended may run again: the policy, without threads or a clock of its own.
//
// A run is *good* when the script became ready and then took a task, ended cleanly, or lived for
// kLongEnough; such a run clears the count of consecutive failures. A good run that died (say, of the
// task it held) is restarted after the shortest delay; one that ended cleanly, at once. Any other run is
// a failure: the delay doubles from `backoff_min` to `backoff_max`, jittered down by up to half so that
// workers that fell together don't rise together.
//
// After `max_consecutive_failures` in a row, of all the pool's workers together, the breaker opens: nothing
// is started for `backoff_max`, then one run is let through (half open). If it fails too, the breaker opens
// again. If it becomes ready the breaker closes on trial: the other workers may start, and the next
// failure opens it again. A good run or a completed task closes it for good.
//
// One per pool. Not thread-safe: the pool's lock guards it.
#pragma once

#include <cstdint>
#include <random>

#include "module/clock.h"

namespace igor {

struct SupervisionOptions {
  Duration backoff_min = std::chrono::milliseconds(100);
  Duration backoff_max = std::chrono::seconds(10);
  int max_consecutive_failures = 6;  // -1: the breaker never opens
};

class Supervision {
 public:
  static constexpr Duration kLongEnough = std::chrono::seconds(30);

  struct Run {
    bool ready = false;  // asked for its first signal
    bool took_task = false;
    bool clean = false;  // returned or exit(0)
    Duration lived{};
  };

  explicit Supervision(const SupervisionOptions& options, uint64_t seed = std::random_device{}())
      : options_(options), random_(seed) {}

  // Records how a run ended; the delay until its worker may ask to start again.
  Duration run_ended(const Run& run, TimePoint now);

  // A worker whose delay has passed asks whether it may start. With the breaker open: not before it has
  // cooled down, and then only one, until it is known what became of that one.
  bool may_start(TimePoint now) noexcept;
  // When a worker that may not start should ask again: kNever while another's run is being tried. It
  // must be woken when the breaker's state changes.
  TimePoint ask_again_at() const noexcept;

  // The run that was let through is not going to tell: it was told to end before it got ready.
  void trial_dropped() noexcept { trying_ = false; }

  // A script asked for its first signal.
  void became_ready() noexcept;

  // A task was completed: whatever failed before has been overcome.
  void task_completed() noexcept {
    failures_ = 0;
    trying_ = false;
  }

  int consecutive_failures() const noexcept { return failures_; }
  bool half_open() const noexcept { return trying_ && breaker_open(); }
  bool breaker_open() const noexcept {
    return options_.max_consecutive_failures >= 0 && failures_ >= options_.max_consecutive_failures && failures_ > 0;
  }

 private:
  Duration jittered(Duration delay);

  SupervisionOptions options_;
  int failures_ = 0;
  TimePoint open_until_{};  // while the breaker is open
  bool trying_ = false;     // half open: one run was let through
  std::mt19937_64 random_;
};

}  // namespace igor
