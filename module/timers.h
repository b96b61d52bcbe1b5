// Deadlines that nobody waits for: one thread that runs small functions at given times (a task's
// deadline, offering an unclaimed task to another worker).
//
// A function runs on the timer thread without any lock held and must be short. cancel() does not wait
// for a function that is already running: what it touches must be kept alive by what it captures.
// The thread starts with the first schedule() and ends in the destructor; pending functions are then
// dropped.
//
// Locks: one mutex, a leaf.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>

#include "module/clock.h"
#include "module/os_thread.h"
#include "module/sync.h"

namespace igor {

class Timers {
 public:
  using Id = uint64_t;  // 0 is none

  Timers() = default;
  ~Timers();

  // The process's one. Never destroyed.
  static Timers& global();

  // 0 when the thread could not be started (out of threads): the caller goes without.
  Id schedule(TimePoint at, std::function<void()> function);
  void cancel(Id id);

 private:
  void loop();

  Mutex mutex_;
  Condition changed_;
  std::multimap<TimePoint, std::pair<Id, std::function<void()>>> queue_;
  std::unordered_map<Id, TimePoint> times_;
  Id last_ = 0;
  bool stopping_ = false;
  OsThread thread_;
};

}  // namespace igor
