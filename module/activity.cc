#include "module/activity.h"

#include <sched.h>

#include <cstdlib>
#include <cstring>

#include "module/sync.h"

namespace igor::activity {
namespace {

Atomic<int> active{0};
enum class Mark : char { Uncounted, Active, Idle };
thread_local Mark mark = Mark::Uncounted;

int spin_cpus() noexcept {
  if (const char* spin = std::getenv("IGOR_SPIN"); spin != nullptr && std::strcmp(spin, "0") == 0) return 0;
  cpu_set_t set;
  const int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return cpus > 1 ? cpus : 0;
}

}  // namespace

void thread_started() noexcept {
  if (mark != Mark::Uncounted) return;
  mark = Mark::Active;
  active.fetch_add(1, std::memory_order_relaxed);
}

void thread_stopped() noexcept {
  if (mark == Mark::Active) active.fetch_sub(1, std::memory_order_relaxed);
  mark = Mark::Uncounted;
}

void idle_begin() noexcept {
  if (mark != Mark::Active) return;
  mark = Mark::Idle;
  active.fetch_sub(1, std::memory_order_relaxed);
}

void idle_end() noexcept {
  if (mark != Mark::Idle) return;
  mark = Mark::Active;
  active.fetch_add(1, std::memory_order_relaxed);
}

bool worth_spinning() noexcept {
  static const int cpus = spin_cpus();
  return active.load(std::memory_order_relaxed) <= cpus && cpus > 0;
}

int current_cpu() noexcept {
  return sched_getcpu();
}

}  // namespace igor::activity
