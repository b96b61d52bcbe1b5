// What a pool has done so far and what it holds now. Every number is changed at exactly one place, the
// state transition that it counts, so the sum of ends equals the tasks accepted once all have ended.
// Relaxed atomics: read them for display at any time, from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace igor {

struct Counters {
  using Number = std::atomic<uint64_t>;

  Number accepted{0};
  Number refused{0};  // senders that got an error instead of a task (timeout, overflow, no worker)
  Number completed{0};
  Number cancelled{0};
  Number timed_out{0};
  std::array<Number, 8> failed{};  // by Reason
  Number updates{0};
  Number starts{0};    // runs of the script that began
  Number failures{0};  // runs that did not end cleanly

  uint64_t ended() const noexcept {
    uint64_t sum = completed + cancelled + timed_out;
    for (const Number& number : failed) sum += number;
    return sum;
  }
};

}  // namespace igor
