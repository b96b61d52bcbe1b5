#include "sapi/cpu_load.h"

#include <sched.h>
#include <time.h>

namespace igor::sapi {
namespace {

constexpr Duration kShortest = std::chrono::milliseconds(40);  // below that the scheduler's grain shows
constexpr Duration kLongest = std::chrono::milliseconds(500);  // above, it tells of another time
constexpr double kBusy = 0.8;

Duration cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

int cpus() {
  cpu_set_t set;
  const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return count > 0 ? count : 1;
}

}  // namespace

CpuLoad& CpuLoad::global() {
  static auto* const load = new CpuLoad;  // never destroyed, as the threads that ask
  return *load;
}

CpuLoad::Answer CpuLoad::ask() {
  std::lock_guard lock(mutex_);
  const TimePoint at = now();
  const Duration since = at - asked_at_;
  if (since < kShortest) return answer_;
  const Duration used = cpu_time();
  if (since > kLongest) {
    answer_ = Answer::Unknown;
  } else {
    static const int count = cpus();
    answer_ = used - used_then_ > kBusy * count * since ? Answer::Saturated : Answer::Room;
  }
  asked_at_ = at;
  used_then_ = used;
  return answer_;
}

}  // namespace igor::sapi
