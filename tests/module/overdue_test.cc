// A task's time runs out while its worker works on it: who is interrupted, and who is left alone.
#include <fcntl.h>
#include <gmock/gmock.h>

#include "module/timers.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::milliseconds;
using test::FakeHost;
using test::Gate;
using test::Script;
using test::TestPool;
using testing::HasSubstr;
using ReadResult = Task::ReadResult;

PoolOptions one_worker() {
  PoolOptions options = test::options_of(1);
  options.stop_grace = std::chrono::hours(1);  // it is not what ends a stuck script
  return options;
}

// As the timer of its deadline does, once a worker has it.
void run_out_of_time(Task& task) {
  test::eventually([&] { return task.state() == TaskState::Running; });
  EXPECT_TRUE(task.time_out());
  EXPECT_EQ(test::end_of(task), ReadResult::Failed);
  EXPECT_EQ(task.state(), TaskState::TimedOut);
}

// As a script's loop that only the engine can end; a wait that is woken by the interrupt stands for it.
RunOutcome loop_until_interrupted(Script& script) {
  test::eventually([&] { return script.interrupt.raised(); });
  return test::crash(Reason::Shutdown, "stopped from outside");
}

TEST(Overdue, AScriptThatGoesOnIsInterruptedAndStartsAfresh) {
  FakeHost host([](Script& script) {
    Ref<Task> task = script.receive();
    return task ? loop_until_interrupted(script) : test::clean_end();
  });
  TestPool pool(one_worker(), host);
  test::start_and_wait(*pool);
  const auto task = test::send(*pool).task;
  test::eventually([&] { return task->state() == TaskState::Running; });
  host.become([](Script& script) { return script.echo(); });
  run_out_of_time(*task);
  test::eventually([&] { return pool->counters().restarts_crashed == 1; });
  EXPECT_EQ(pool->counters().crashes, 1u);
  const PoolReport report = pool->report();
  ASSERT_TRUE(report.last_failure);
  EXPECT_EQ(report.last_failure->reason, Reason::Deadline);
  EXPECT_THAT(report.last_failure->message, HasSubstr("task " + std::to_string(task->id()) + " had run out of time"));
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed) << "the one that came back serves";
}

TEST(Overdue, WhatElseItHeldFailsAndSaysWhy) {
  FakeHost host([](Script& script) {
    Ref<Task> first = script.receive();
    if (!first) return test::clean_end();
    Ref<Task> second = script.receive();
    return second ? loop_until_interrupted(script) : test::clean_end();
  });
  TestPool pool(one_worker(), host);
  test::start_and_wait(*pool);
  const auto patient = test::send(*pool).task;
  const auto hasty = test::send(*pool).task;
  run_out_of_time(*hasty);
  EXPECT_EQ(test::end_of(*patient), ReadResult::Failed);
  EXPECT_EQ(patient->failure().reason, Reason::Exited);
  EXPECT_THAT(patient->failure().message,
              HasSubstr("another task that it held, " + std::to_string(hasty->id()) + ", had run out of time"));
}

// Suspended, or a guest whose host is busy: the clock has moved on, and nobody has run.
TEST(Overdue, AMachineThatStoodStillIsNotAScriptThatCannotBeInterrupted) {
  FakeHost host([](Script& script) { return loop_until_interrupted(script); });
  PoolOptions options = one_worker();
  options.stop_grace = milliseconds(0);
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error)) << error;
  test::eventually([&] { return host.runs == 1; });
  Gate standing;
  std::atomic<bool> goes_on{false};
  ASSERT_NE(Timers::global().schedule(now(),
                                      [&] {
                                        standing.open();
                                        test::eventually([&] { return goes_on.load(); });
                                      }),
            0u);
  standing.wait();
  pool->restart_worker(0);
  const TimePoint later = after(now(), Pool::kForceTime + milliseconds(100));
  test::eventually([&] { return now() >= later; });
  goes_on = true;
  test::eventually(
      [&] { return host.runs == 2 || pool->report().workers.size() != 1 || pool->counters().crashes != 0; });
  EXPECT_GE(host.interruptions, 1);
  EXPECT_EQ(pool->counters().restarts_restarted, 1u);
  EXPECT_EQ(pool->report().workers.size(), 1u) << "the same one runs again, and none was left behind";
}

TEST(Overdue, AScriptThatCannotBeInterruptedIsLostAndReplaced) {
  Gate release;
  FakeHost host([&](Script& script) {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    if (test::text_of(task->payload()) == "stuck") {
      release.wait();  // blocked in a library
      return test::crash(Reason::Shutdown);
    }
    script.complete(std::move(task));
    return script.echo();
  });
  TestPool pool(one_worker(), host);
  test::start_and_wait(*pool);
  const auto stuck = test::send(*pool, "stuck").task;
  run_out_of_time(*stuck);
  EXPECT_EQ(test::end_of(*test::send(*pool, "next").task), ReadResult::Completed) << "another took its place";
  EXPECT_EQ(pool->stats().lost, 1u);
  EXPECT_GT(host.interruptions, 0);
  // One that comes back after all has left: it counts as lost no longer.
  release.open();
  test::eventually([&] { return pool->stats().lost == 0; });
  EXPECT_EQ(pool.drain(), 0u);
}

TEST(Overdue, AScriptThatLetsGoInTimeIsLeftAlone) {
  std::atomic<bool> in_time{true};
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      test::eventually([&] { return task->ended(); });
      const TimePoint over = now();
      EXPECT_EQ(task->update(test::payload_of("late"), &script.interrupt), Task::UpdateResult::Closed);
      script.slot.release(*task);
      if (now() - over > Pool::kOverdueGrace / 2) in_time = false;  // the machine stood still
    }
    return test::clean_end();
  });
  TestPool pool(one_worker(), host);
  test::start_and_wait(*pool);
  for (int i = 0; i < 20; ++i) run_out_of_time(*test::send(*pool).task);
  // Until all looks have been taken.
  Gate looked;
  Timers::global().schedule(after(now(), Pool::kOverdueGrace + milliseconds(1)), [&] { looked.open(); });
  looked.wait();
  pool.drain();
  if (in_time) {
    EXPECT_EQ(host.interruptions, 0);
    EXPECT_EQ(pool->counters().crashes, 0u);
  }
}

// Or a flood of tasks that time out would keep all their payloads and descriptors for as long as somebody may look.
TEST(Overdue, NothingIsKeptOfATaskThatEverybodyHasLetGoOf) {
  Gate running, over, let_go;
  FakeHost host([&](Script& script) {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    running.open();
    over.wait();
    script.slot.release(*task);
    task = nullptr;
    let_go.open();
    return script.echo();
  });
  TestPool pool(test::options_of(1), host);
  test::start_and_wait(*pool);
  Ref<Task> task = test::send(*pool).task;
  const int descriptor = task->sender_fd();
  running.wait();
  EXPECT_TRUE(task->time_out());
  over.open();
  let_go.wait();
  EXPECT_NE(fcntl(descriptor, F_GETFD), -1);
  task = nullptr;
  EXPECT_EQ(fcntl(descriptor, F_GETFD), -1) << "it is still open";
}

// As an event loop that serves many at once and has one task that waits for something slow.
TEST(Overdue, AScriptThatWaitsOrServesOthersIsLeftAlone) {
  const TimePoint enough = after(now(), 4 * Pool::kOverdueGrace);
  FakeHost host([&](Script& script) {
    Ref<Task> slow = script.receive();
    if (!slow) return test::clean_end();
    while (now() < enough) {
      if (Ref<Task> other = script.receive(enough)) script.complete(std::move(other));
    }
    EXPECT_TRUE(slow->ended());
    script.slot.release(*slow);
    return script.echo();
  });
  TestPool pool(one_worker(), host);
  test::start_and_wait(*pool);
  run_out_of_time(*test::send(*pool, "slow").task);
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  test::eventually([&] { return now() > enough; });
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  EXPECT_EQ(host.interruptions, 0);
  EXPECT_EQ(host.runs, 1);
}

// A loop on the raw descriptor waits again by itself after each claim. What tells that it is stuck is an offer
// that it does not take.
TEST(Overdue, ALoopOnTheDescriptorIsStuckWhenItDoesNotTakeItsOffer) {
  FakeHost host([](Script& script) {
    script.slot.signal_fd(true);
    Ref<Task> task;
    test::eventually([&] { return script.slot.stopping() || (task = script.slot.claim()); });
    return task ? loop_until_interrupted(script) : test::clean_end();
  });
  TestPool pool(one_worker(), host);
  test::start_and_wait(*pool);
  const auto stuck = test::send(*pool, "stuck").task;
  test::eventually([&] { return stuck->state() == TaskState::Running; });
  host.become([](Script& script) { return script.echo(); });
  run_out_of_time(*stuck);
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed) << "it moved to the next run";
  EXPECT_EQ(host.runs, 2);
}

}  // namespace
}  // namespace igor
