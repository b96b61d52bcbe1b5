// What a pool has done so far: the ledger that it shares with the pools it succeeded, so that the numbers go
// on when a reload or a restart puts another pool in its place.
//
// Every number is changed at exactly one place, the state transition that it counts, so the sum of ends
// equals the tasks accepted once all have ended. Relaxed atomics: read them for display at any time, from any
// thread.
#pragma once

#include <array>
#include <cstdint>

#include "module/histogram.h"
#include "module/sync.h"

namespace igor {

struct Counters {
  using Number = Atomic<uint64_t>;

  Number accepted{0};
  Number refused{0};  // senders that got an error instead of a task (timeout, overflow, no worker)
  Number started{0};  // claimed by a worker
  Number completed{0};
  Number cancelled{0};
  Number timed_out{0};
  std::array<Number, 8> failed{};  // by Reason
  Number updates{0};
  Number payload_bytes{0};  // of accepted tasks
  Number requests{0};       // work that did not come through the pool (PoolKind::Requests)

  Number starts{0};   // runs of the script that began
  Number crashes{0};  // runs that did not end cleanly, or could not be ended

  // Why a worker ran again, or another ran in its place.
  Number restarts_ended{0};      // its script ended cleanly
  Number restarts_crashed{0};    // it crashed, or was lost
  Number restarts_recycled{0};   // it had had its share of tasks or memory
  Number restarts_restarted{0};  // somebody wanted it

  Histogram wait;   // from send() to the start
  Histogram run;    // from the start to the end, of what was started
  Histogram total;  // from send() to the end, of every accepted task

  uint64_t ended() const noexcept {
    uint64_t sum = completed + cancelled + timed_out;
    for (const Number& number : failed) sum += number;
    return sum;
  }
};

}  // namespace igor
