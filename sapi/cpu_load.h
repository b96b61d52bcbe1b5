// Whether this process keeps its CPUs busy: then one thread more would only take time from the others.
//
// It compares the CPU time that the process used with the time that went by since it was asked before, so an
// answer costs two reads of a clock and no thread watches. It needs two questions, not too close and not too
// far apart; until it has them it says that it does not know yet.
//
// Threads: any. Lock: one mutex, a leaf.
#pragma once

#include <mutex>

#include "module/clock.h"

namespace igor::sapi {

class CpuLoad {
 public:
  enum class Answer { Unknown, Room, Saturated };

  // The process's one.
  static CpuLoad& global();

  // Ask again some 20 ms later when Unknown.
  Answer ask();

 private:
  std::mutex mutex_;
  TimePoint asked_at_{};
  Duration used_then_{};
  Answer answer_ = Answer::Unknown;
};

}  // namespace igor::sapi
