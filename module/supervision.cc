#include "module/supervision.h"

#include <algorithm>

namespace igor {

Duration Supervision::jittered(Duration delay) {
  std::uniform_int_distribution<Duration::rep> half(0, delay.count() / 2);
  return delay - Duration(half(random_));
}

Duration Supervision::run_ended(const Run& run) {
  const bool good = run.ready && (run.took_task || run.clean || run.lived >= kLongEnough);
  if (good) {
    failures_ = 0;
    return run.clean ? Duration::zero() : jittered(options_.backoff_min);
  }
  ++failures_;
  if (breaker_open()) return options_.backoff_max;
  Duration delay = options_.backoff_min;
  for (int i = 1; i < failures_ && delay < options_.backoff_max; ++i) delay *= 2;
  return jittered(std::min(delay, options_.backoff_max));
}

}  // namespace igor
