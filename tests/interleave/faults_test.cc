// The core with one mistake at a time: the scenario that is about it must find it. What was found ends the process,
// so each is looked for in one of its own.
#include "tests/interleave/fault.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>

#include "tests/interleave/scenarios.h"

namespace igor::interleave {
namespace {

struct Fault {
  const char* name;
  const char* scenario;
  const char* found;  // a pattern

  friend void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }
};

constexpr int kFound = 0, kNotFound = 2;

// A sanitizer that finds it ends the process as it likes.
bool was_found(int status) {
  return !WIFEXITED(status) || WEXITSTATUS(status) != kNotFound;
}

class Faults : public testing::TestWithParam<Fault> {};

[[noreturn]] void look_for(const Fault& fault) {
  make(fault.name);
  const Scenario where = scenario(fault.scenario);
  const auto violation = search(where.settings, where.body);
  std::fprintf(stderr, "%s\n", violation ? violation->what.c_str() : "nothing was found");
  std::_Exit(violation ? kFound : kNotFound);
}

TEST_P(Faults, AreFound) {
  const Fault& fault = GetParam();
  ASSERT_FALSE(is_gone(fault.name)) << "the text that it changes is not in module/ exactly once: adapt faults.cmake";
  EXPECT_EXIT(look_for(fault), was_found, fault.found);
}

constexpr const char* kLost = "lost wake-up|stalled";

INSTANTIATE_TEST_SUITE_P(
    Core, Faults,
    testing::Values(Fault{"ticket_after_unlocking", "UpdatesThroughAFullFifo", kLost},
                    Fault{"ticket_after_looking", "DrainAgainstAFullFifo", kLost},
                    Fault{"notify_before_publishing", "UpdatesThroughAFullFifo", kLost},
                    Fault{"place_in_the_fifo_not_told", "UpdatesThroughAFullFifo", kLost},
                    Fault{"end_without_looking", "EveryEndAgainstEveryOther", "one comes first|state is that"},
                    Fault{"start_without_looking", "StartAgainstCancel", ".+"},
                    Fault{"level_left_up", "SenderDescriptor", "what is readable can be read"},
                    Fault{"sleep_without_looking", "OneWaitsOneNotifies", kLost},
                    Fault{"interrupt_not_looked_at_once_registered", "InterruptAgainstSleep", kLost},
                    Fault{"announced_readers_forgotten", "SnapshotReadersAgainstAWriter",
                          "after it was destroyed|not freed|exception|use-after-free"},
                    Fault{"withdrawn_slot_does_not_ask", "SignalDescriptor", kLost},
                    Fault{"offer_not_told_of", "OneSendsOneServes", kLost},
                    Fault{"offers_never_move", "AnOfferToABusyWorker", "no end after|lost wake-up|stalled"},
                    Fault{"draining_after_waking", "DrainAgainstAFullFifo", kLost},
                    Fault{"refused_tasks_move_along", "SuccessionOfThoseWhoWait", ".+"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace igor::interleave
