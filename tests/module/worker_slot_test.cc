// The script's side of a slot: signals, the descriptor, claims, offers that move on.
#include "module/worker_slot.h"

#include <poll.h>

#include <thread>
#include <vector>

#include "module/timers.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::milliseconds;
using test::FakeHost;
using test::Gate;
using test::options_of;
using test::Script;
using test::TestPool;
using test::text_of;
using ReadResult = Task::ReadResult;
using Signal = WorkerSlot::Signal;

bool readable(int fd, int timeout_ms = 0) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, timeout_ms) == 1;
}

TEST(WorkerSlot, PollNeverBlocksAndWaitEndsAtItsDeadline) {
  Gate tried;
  FakeHost host([&](Script& script) {
    EXPECT_EQ(script.slot.poll_signal(), Signal::None);
    EXPECT_EQ(script.slot.wait_signal(TimePoint{}, nullptr), Signal::None);
    EXPECT_EQ(script.slot.wait_signal(after(now(), milliseconds(2)), nullptr), Signal::None);
    script.interrupt.raise();
    EXPECT_EQ(script.slot.wait_signal(kNever, &script.interrupt), Signal::Interrupted);
    script.interrupt.clear();
    EXPECT_FALSE(script.slot.claim());
    tried.open();
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  tried.wait();
}

TEST(WorkerSlot, ATaskSignalStaysUntilTheTaskIsClaimed) {
  FakeHost host([&](Script& script) {
    EXPECT_EQ(script.slot.wait_signal(kNever, nullptr), Signal::Task);
    EXPECT_EQ(script.slot.wait_signal(kNever, nullptr), Signal::Task);
    EXPECT_EQ(script.slot.poll_signal(), Signal::Task);
    Ref<Task> task = script.slot.claim();
    EXPECT_EQ(script.slot.poll_signal(), Signal::None);
    script.complete(std::move(task));
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
}

TEST(WorkerSlot, CancelledTasksAreSkipped) {
  Gate busy, go_on;
  FakeHost host([&](Script& script) {
    script.slot.poll_signal();
    busy.open();
    go_on.wait();
    return script.echo();
  });
  TestPool pool(options_of(1, 5), host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  busy.wait();
  std::vector<Pool::Sent> cancelled;
  for (int i = 0; i < 3; ++i) cancelled.push_back(test::send(*pool, "cancelled"));
  for (const Pool::Sent& sent : cancelled) sent.task->cancel();
  const Pool::Sent wanted = test::send(*pool, "wanted");
  go_on.open();
  EXPECT_EQ(test::end_of(*wanted.task), ReadResult::Completed);
  EXPECT_EQ(pool->counters().cancelled, 3u);
  EXPECT_EQ(pool->counters().completed, 1u);
}

TEST(WorkerSlot, TheDescriptorIsReadableWhileATaskIsOfferedOrAStopPending) {
  Gate task_wanted, quiet, draining;
  FakeHost host([&](Script& script) {
    const int fd = script.slot.signal_fd(false);
    EXPECT_GE(fd, 0);
    EXPECT_FALSE(readable(fd));
    task_wanted.open();
    EXPECT_TRUE(readable(fd, -1));
    EXPECT_EQ(script.slot.signal_fd(false), fd) << "the same each time";
    EXPECT_TRUE(readable(fd)) << "a level, no byte: still there";
    Ref<Task> task = script.slot.claim();
    EXPECT_FALSE(readable(fd));
    script.complete(std::move(task));
    EXPECT_FALSE(readable(script.slot.signal_fd(false)));
    quiet.open();
    EXPECT_TRUE(readable(fd, -1)) << "the stop";
    EXPECT_EQ(script.slot.poll_signal(), Signal::Stop);
    EXPECT_TRUE(readable(script.slot.signal_fd(false))) << "it stays pending";
    return test::clean_end();
  });
  TestPool pool(options_of(1), host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  task_wanted.wait();
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  quiet.wait();
  EXPECT_EQ(pool.drain(), 0u);
}

TEST(WorkerSlot, AWithdrawnOfferTakesTheDescriptorDown) {
  Gate asked, withdrawn, done;
  FakeHost host([&](Script& script) {
    const int fd = script.slot.signal_fd(false);
    asked.open();
    withdrawn.wait();
    EXPECT_FALSE(readable(fd));
    EXPECT_FALSE(script.slot.claim());
    done.open();
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  asked.wait();
  const Pool::Sent sent = test::send(*pool);
  sent.task->cancel();
  EXPECT_EQ(pool->stats().waiting, 1u);
  withdrawn.open();
  done.wait();
}

TEST(WorkerSlot, ALoopThatKeepsPollingIsOfferedTheNextTaskWithoutAsking) {
  FakeHost host([&](Script& script) {
    const int fd = script.slot.signal_fd(true);
    for (int served = 0; served < 20;) {
      EXPECT_TRUE(readable(fd, -1));
      while (Ref<Task> task = script.slot.claim()) {
        script.complete(std::move(task));
        ++served;
      }
    }
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
}

TEST(WorkerSlot, AWorkerInALoopServesManyAtOnce) {
  // All are claimed before the first is completed, and completed in another order.
  FakeHost host([&](Script& script) {
    std::vector<Ref<Task>> held;
    while (held.size() < 5) held.push_back(script.receive());
    EXPECT_EQ(script.slot.poll_signal(), Signal::None) << "and it waits again";
    for (const int i : {3, 0, 4, 2, 1}) script.complete(std::move(held[i]), std::to_string(i));
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  std::vector<Pool::Sent> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(test::send(*pool));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(test::end_of(*sent[i].task), ReadResult::Completed);
    EXPECT_EQ(text_of(sent[i].task->result()), std::to_string(i));
  }
}

TEST(WorkerSlot, OneTaskWakesOneWorker) {
  constexpr int kWorkers = 4;
  std::atomic<int> wakes{0};
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      ++wakes;
      script.complete(std::move(task));
    }
    return test::clean_end();
  });
  TestPool pool(options_of(kWorkers), host);
  test::start_and_wait(*pool);
  test::eventually([&] { return pool->stats().waiting == kWorkers; });
  for (int i = 0; i < 100; ++i) EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  EXPECT_EQ(wakes, 100);
}

TEST(WorkerSlot, ATaskOfferedToABusyLoopGoesToAnotherWorker) {
  // The first worker has asked and is now busy elsewhere; nobody calls it back.
  Gate asked, done;
  FakeHost host([&](Script& script) {
    if (script.slot.index() == 0) {
      EXPECT_EQ(script.slot.poll_signal(), Signal::None);
      asked.open();
      done.wait();
    }
    return script.echo();
  });
  PoolOptions options = options_of(1);
  options.max_threads = 2;
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  asked.wait();
  const Pool::Sent first = test::send(*pool, "first");    // offered to the busy one, accepted
  const Pool::Sent second = test::send(*pool, "second");  // starts the other
  EXPECT_EQ(test::end_of(*second.task), ReadResult::Completed);
  EXPECT_EQ(test::end_of(*first.task), ReadResult::Completed) << "moved on while the first is still busy";
  done.open();
}

TEST(WorkerSlot, ATaskThatWasSignalledAndNotClaimedGoesToAnotherWorker) {
  // It was told "task", and then did something else: a parked worker was once trusted for ever.
  Gate done;
  std::atomic<int> signalled{-1};
  FakeHost host([&](Script& script) {
    if (script.slot.wait_signal(kNever, nullptr) == Signal::Task) {
      int nobody = -1;
      if (signalled.compare_exchange_strong(nobody, static_cast<int>(script.slot.index()))) done.wait();
    }
    return script.echo();
  });
  TestPool pool(options_of(2), host);
  test::start_and_wait(*pool);
  test::eventually([&] { return pool->stats().waiting == 2; });
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  EXPECT_NE(signalled, -1);
  done.open();
}

TEST(WorkerSlot, AnOfferMovesOnToAWorkerLeftWaitingByACancellation) {
  // Worker 0 is offered a task and stays busy; worker 1's offer is cancelled while it is away. It polls its
  // descriptor and does not ask again, so the other task must find it.
  Gate asked[2], cancelled, done;
  FakeHost host([&](Script& script) {
    const uint32_t me = script.slot.index();
    if (me == 1) asked[0].wait();  // asks last: is offered first
    const int fd = script.slot.signal_fd(true);
    asked[me].open();
    if (me == 0) {
      done.wait();
      return script.echo();
    }
    cancelled.wait();
    EXPECT_TRUE(readable(fd, -1));
    if (Ref<Task> task = script.slot.claim()) script.complete(std::move(task), "moved");
    return script.echo();
  });
  TestPool pool(options_of(2), host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  asked[1].wait();
  test::eventually([&] { return pool->stats().waiting == 2; });
  const Pool::Sent one = test::send(*pool, "one"), other = test::send(*pool, "other");
  EXPECT_EQ(pool->stats().waiting, 0u);
  // The look at unclaimed offers that the first send asked for passes: nobody waits then.
  Gate looked;
  Timers::global().schedule(after(now(), 2 * Dispatch::kClaimTime), [&] { looked.open(); });
  looked.wait();
  one.task->cancel();
  cancelled.open();
  EXPECT_EQ(test::end_of(*other.task), ReadResult::Completed);
  EXPECT_EQ(text_of(other.task->result()), "moved");
  done.open();
}

TEST(WorkerSlot, AWorkerThatEndsHandsItsOfferOn) {
  Gate asked, leave;
  std::atomic<int> left{-1};
  FakeHost host([&](Script& script) {
    if (script.slot.index() == 0 && left == -1) {
      script.slot.poll_signal();
      asked.open();
      leave.wait();
      left = 0;
      return test::clean_end();
    }
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  asked.wait();
  const Pool::Sent sent = test::send(*pool);
  EXPECT_EQ(sent.result, Pool::SendResult::Accepted);
  leave.open();
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed) << "by the next run";
}

TEST(WorkerSlot, WhatAScriptClaimsAfterItsEndFailsToo) {
  // A destructor that runs after the script's end may still call in.
  FakeHost host([&](Script& script) {
    if (FakeHost::run_number() > 1) return script.echo();
    const Ref<Task> one = script.receive();
    const RunOutcome outcome = test::crash();
    script.slot.script_ended(outcome.failure);
    EXPECT_TRUE(one->ended());
    EXPECT_EQ(script.slot.wait_signal(kNever, nullptr), Signal::Task);
    EXPECT_TRUE(script.slot.claim());
    return outcome;
  });
  TestPool pool(options_of(1, 1), host);
  const Pool::Sent one = test::send(*pool), two = test::send(*pool);
  EXPECT_EQ(test::end_of(*one.task), ReadResult::Failed);
  EXPECT_EQ(test::end_of(*two.task), ReadResult::Failed);
}

TEST(WorkerSlot, ReleasedTasksAreNotFailedAtTheEnd) {
  // An abandoned task: let go of without an end, and ended by the one who let go.
  FakeHost host([&](Script& script) {
    if (FakeHost::run_number() > 1) return script.echo();
    const Ref<Task> task = script.receive();
    task->fail(test::failure_of(Reason::Abandoned, "let go"));
    script.slot.release(*task);
    script.slot.release(*task);  // twice: nothing
    return test::crash();
  });
  TestPool pool(options_of(1), host);
  const Pool::Sent sent = test::send(*pool);
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Failed);
  EXPECT_EQ(sent.task->failure().message, "let go");
}

TEST(WorkerSlot, LabelsNameTheWorkerAndItsPlace) {
  FakeHost host;
  const auto pool = Pool::create(options_of(1), host);
  EXPECT_EQ(WorkerSlot(*pool, 3).label(), "w #3");
}

}  // namespace
}  // namespace igor
