// What happens to a task between two of its transitions, as PoolOptions::steps tells of it: for tests and tools
// that check the whole of a task's history.
#pragma once

#include <cstdint>

namespace igor {

class WorkerSlot;

struct TaskStep {
  enum class Kind : uint8_t {
    Offered,   // to a slot
    Returned,  // the slot claims it now, or it goes to another or back into the mailbox
    Claimed,   // by a slot, for this run of its script: the transition to Running
    Updated,   // an update was put into its FIFO
    Read,      // an update was taken out
  };
  Kind kind;
  const WorkerSlot* slot = nullptr;  // of the first three
  uint64_t run = 0;                  // of its script
};

}  // namespace igor
