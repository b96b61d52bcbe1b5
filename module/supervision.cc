#include "module/supervision.h"

#include <algorithm>

namespace igor {

Duration Supervision::jittered(Duration delay) {
  std::uniform_int_distribution<Duration::rep> half(0, delay.count() / 2);
  return delay - Duration(half(random_));
}

Duration Supervision::run_ended(const Run& run, TimePoint now) {
  const bool good = run.ready && (run.took_task || run.clean || run.lived >= kLongEnough);
  trying_ = false;
  if (good) {
    failures_ = 0;
    return run.clean ? Duration::zero() : jittered(options_.backoff_min);
  }
  ++failures_;
  if (breaker_open()) {
    open_until_ = after(now, options_.backoff_max);
    return options_.backoff_max;
  }
  Duration delay = std::min(options_.backoff_min, options_.backoff_max);
  for (int i = 1; i < failures_ && delay < options_.backoff_max && delay > Duration::zero(); ++i) {
    delay = delay > options_.backoff_max / 2 ? options_.backoff_max : delay * 2;
  }
  return jittered(delay);
}

bool Supervision::may_start(TimePoint now) noexcept {
  if (!breaker_open()) return true;
  if (trying_ || now < open_until_) return false;
  trying_ = true;
  return true;
}

TimePoint Supervision::ask_again_at() const noexcept {
  if (!breaker_open()) return TimePoint::min();
  return trying_ ? kNever : open_until_;
}

void Supervision::became_ready() noexcept {
  if (!breaker_open()) return;
  failures_ = std::max(options_.max_consecutive_failures - 1, 0);
  trying_ = false;
}

}  // namespace igor
