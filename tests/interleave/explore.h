// What scenarios are written with, and what runs them.
//
// A scenario is a function that is executed once per schedule, on a virtual thread of its own ("main"). It makes
// what it needs, starts threads, joins them, and says what must be true. It must do the same again when the
// same schedule is taken: no clock, no randomness, no order of addresses.
//
// explore() prints how many schedules there were, and fails the test with the first violation: what it is, the
// schedule, and every step of it. In the environment:
//
//   IGOR_INTERLEAVE_SCHEDULE  runs only this schedule, as it was printed, step by step
//   IGOR_INTERLEAVE_SECONDS   each scenario that is bounded goes on for about so long: random schedules with other
//                             seeds, one more preemption
//   IGOR_INTERLEAVE_SEED      of random schedules (1)
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "tests/interleave/scheduler.h"

namespace igor::interleave {

void explore(const Settings& settings, const std::function<void()>& scenario);
// The first violation, or none.
std::optional<Violation> search(const Settings& settings, const std::function<void()>& scenario);

// Joined by the destructor at the latest.
class Thread {
 public:
  Thread(std::string name, std::function<void()> body);
  ~Thread() { join(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  void join();

 private:
  ThreadId id_;
};

// Until no other thread is left: for those that nobody joins.
void join_others();

// A violation unless it is true that `what`.
void require(bool true_that, const std::string& what);
// For the reader of a schedule.
void say(const std::string& what);
// As poll(2) without a limit; and whether it is readable now.
void poll(int fd);
bool readable(int fd);

}  // namespace igor::interleave
