// Sending: acceptance, places, growth, refusals and what they say.
#include "module/pool.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "module/timers.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using test::FakeHost;
using test::Gate;
using test::options_of;
using test::Script;
using test::TestPool;
using test::text_of;
using ReadResult = Task::ReadResult;
using SendResult = Pool::SendResult;

// A script that takes one task and holds it until the gate opens, then serves as usual.
FakeHost::Function hold_first_until(Gate& release, Gate* holding = nullptr) {
  return [&release, holding](Script& script) {
    if (Ref<Task> task = script.receive()) {
      if (holding != nullptr) holding->open();
      release.wait();
      script.complete(std::move(task), "held");
    }
    return script.echo();
  };
}

TEST(Pool, ALazyPoolStartsWithItsFirstTask) {
  FakeHost host;
  TestPool pool(options_of(0), host);
  EXPECT_EQ(pool->stats().threads, 0u);
  const Pool::Sent sent = test::send(*pool, "hello");
  ASSERT_EQ(sent.result, SendResult::Accepted);
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
  EXPECT_EQ(text_of(sent.task->result()), "hello");
  EXPECT_EQ(pool->stats().threads, 1u);
  EXPECT_EQ(host.runs, 1);
}

TEST(Pool, NumThreadsStartAtBootAndWaitReadyWaitsForAll) {
  FakeHost host;
  TestPool pool(options_of(3), host);
  test::start_and_wait(*pool);
  const Pool::Stats stats = pool->stats();
  EXPECT_EQ(stats.threads, 3u);
  EXPECT_EQ(stats.ready, 3u);
  std::string error;
  EXPECT_TRUE(pool->start(error)) << "again: nothing";
  EXPECT_EQ(pool->stats().threads, 3u);
  EXPECT_EQ(host.enters, 3);
}

TEST(Pool, EnsureStartedStartsALazyPoolOnce) {
  FakeHost host;
  TestPool pool(options_of(0), host);
  std::string error;
  EXPECT_TRUE(pool->ensure_started(error));
  EXPECT_TRUE(pool->ensure_started(error));
  EXPECT_EQ(pool->stats().threads, 1u);
}

TEST(Pool, TwoWorkersServeTwoTasksAtOnce) {
  // Each of the tasks ends only once both are being worked on.
  Gate started[2];
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      const int me = text_of(task->payload()) == "1";
      started[me].open();
      started[1 - me].wait();
      script.complete(std::move(task));
    }
    return test::clean_end();
  });
  TestPool pool(options_of(2), host);
  test::start_and_wait(*pool);
  const Pool::Sent zero = test::send(*pool, "0"), one = test::send(*pool, "1");
  EXPECT_EQ(test::end_of(*zero.task), ReadResult::Completed);
  EXPECT_EQ(test::end_of(*one.task), ReadResult::Completed);
}

TEST(Pool, GrowsToMaxThreadsWhileNoneWaitsAndNoFurther) {
  Gate release;
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      release.wait();
      script.complete(std::move(task));
    }
    return test::clean_end();
  });
  PoolOptions options = options_of(1);
  options.max_threads = 3;
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  std::vector<Pool::Sent> held;
  for (int i = 0; i < 3; ++i) held.push_back(test::send(*pool));
  EXPECT_EQ(pool->stats().threads, 3u);
  EXPECT_EQ(test::send(*pool, "x", TimePoint{}).result, SendResult::TimedOut) << "all three are busy";
  EXPECT_EQ(pool->stats().threads, 3u);
  release.open();
  for (const Pool::Sent& sent : held) EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
}

TEST(Pool, AWaitingWorkerIsUsedBeforeTheQueueAndWithoutGrowth) {
  FakeHost host;
  PoolOptions options = options_of(1, 5);
  options.max_threads = 4;
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  for (int i = 0; i < 50; ++i) {
    test::eventually([&] { return pool->stats().waiting == 1; });
    EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  }
  EXPECT_EQ(pool->stats().threads, 1u);
}

TEST(Pool, PlacesTakeTasksWithoutBlockingAndTheNextSenderWaits) {
  Gate release, holding;
  FakeHost host(hold_first_until(release, &holding));
  TestPool pool(options_of(1, 2), host);
  const Pool::Sent held = test::send(*pool);
  holding.wait();
  const Pool::Sent one = test::send(*pool, "1"), two = test::send(*pool, "2");
  EXPECT_EQ(one.result, SendResult::Accepted);
  EXPECT_EQ(two.result, SendResult::Accepted);
  EXPECT_EQ(pool->stats().queued, 2u);
  EXPECT_EQ(test::send(*pool, "3", TimePoint{}).result, SendResult::TimedOut);
  EXPECT_EQ(pool->counters().refused, 1u);

  std::thread sender([&] {
    const Pool::Sent three = test::send(*pool, "3");
    EXPECT_EQ(three.result, SendResult::Accepted);
    EXPECT_EQ(test::end_of(*three.task), ReadResult::Completed);
  });
  test::eventually([&] { return pool->stats().blocked_senders == 1; });
  release.open();
  sender.join();
  for (const Pool::Sent* sent : {&held, &one, &two}) EXPECT_EQ(test::end_of(*sent->task), ReadResult::Completed);
  EXPECT_EQ(pool->counters().accepted, 4u);
}

TEST(Pool, ACancelledTaskInTheQueueFreesItsPlace) {
  Gate release, holding;
  FakeHost host(hold_first_until(release, &holding));
  TestPool pool(options_of(1, 1), host);
  const Pool::Sent held = test::send(*pool);
  holding.wait();
  const Pool::Sent queued = test::send(*pool, "cancelled");
  std::thread sender([&] {
    const Pool::Sent next = test::send(*pool, "next");
    ASSERT_EQ(next.result, SendResult::Accepted) << "while the worker is still busy";
    release.open();
    EXPECT_EQ(test::end_of(*next.task), ReadResult::Completed);
    EXPECT_EQ(text_of(next.task->result()), "next");
  });
  test::eventually([&] { return pool->stats().blocked_senders == 1; });
  queued.task->cancel();
  sender.join();
  EXPECT_EQ(test::end_of(*held.task), ReadResult::Completed);
  EXPECT_EQ(pool->counters().cancelled, 1u);
  EXPECT_EQ(pool->counters().completed, 2u);
}

TEST(Pool, OverflowRejectRefusesAtOnce) {
  Gate release, holding;
  FakeHost host(hold_first_until(release, &holding));
  PoolOptions options = options_of(1, 1);
  options.overflow_reject = true;
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  const Pool::Sent held = test::send(*pool);
  holding.wait();
  const Pool::Sent queued = test::send(*pool);
  EXPECT_EQ(queued.result, SendResult::Accepted);
  EXPECT_EQ(test::send(*pool).result, SendResult::Overflow);  // kNever: it does not wait
  release.open();
  EXPECT_EQ(test::end_of(*queued.task), ReadResult::Completed);
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed) << "there is room again";
}

TEST(Pool, OverflowRejectRefusesAtOnceWhileTheWorkerRestarts) {
  Gate ready;
  FakeHost host([&](Script& script) {
    script.slot.poll_signal();
    ready.open();
    return test::crash();
  });
  PoolOptions options = options_of(1);
  options.overflow_reject = true;
  options.supervision.backoff_min = options.supervision.backoff_max = hours(1);
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  ready.wait();
  test::eventually([&] { return pool->stats().restarting == 1; });
  EXPECT_EQ(test::send(*pool).result, SendResult::Overflow);
}

TEST(Pool, OverflowRejectWaitsForALazyPoolsFirstStart) {
  FakeHost host;
  PoolOptions options = options_of(0);
  options.overflow_reject = true;
  TestPool pool(options, host);
  EXPECT_EQ(test::send(*pool).result, SendResult::Accepted);
}

TEST(Pool, TheTimeoutCoversAScriptThatNeverAsks) {
  Gate release;
  FakeHost host([&](Script& script) {
    release.wait();
    return script.echo();
  });
  TestPool pool(options_of(0), host);
  EXPECT_EQ(test::send(*pool, "x", after(now(), milliseconds(5))).result, SendResult::TimedOut);
  EXPECT_EQ(pool->stats().blocked_senders, 0u);
  EXPECT_EQ(pool->counters().accepted, 0u);
  release.open();
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
}

TEST(Pool, AnInterruptEndsABlockedSend) {
  Gate release;
  FakeHost host([&](Script& script) {
    release.wait();
    return script.echo();
  });
  TestPool pool(options_of(0), host);
  Interrupt interrupt;
  std::thread sender([&] {
    const Pool::Sent sent = pool->send(Payload(), kNever, &interrupt);
    EXPECT_EQ(sent.result, SendResult::Interrupted);
    EXPECT_FALSE(sent.task);
  });
  test::eventually([&] { return pool->stats().blocked_senders == 1; });
  interrupt.raise();
  sender.join();
  EXPECT_EQ(pool->stats().blocked_senders, 0u);
  release.open();
}

TEST(Pool, AScriptThatEndsBeforeItWasEverReadyFailsItsSenders) {
  FakeHost host([](Script&) { return test::crash(Reason::UncaughtException, "no such class"); });
  PoolOptions options = options_of(0);
  options.supervision.backoff_min = options.supervision.backoff_max = hours(1);
  TestPool pool(options, host);
  const Pool::Sent sent = test::send(*pool);
  EXPECT_EQ(sent.result, SendResult::WorkerFailed);
  EXPECT_EQ(sent.failure.reason, Reason::UncaughtException);
  EXPECT_EQ(sent.failure.message, "no such class");
  EXPECT_EQ(pool->counters().accepted, 0u);
}

TEST(Pool, AScriptThatReturnsWithoutAskingFailsItsSendersWithThatReason) {
  FakeHost host([](Script&) { return test::clean_end(); });
  PoolOptions options = options_of(0);
  options.supervision.backoff_min = options.supervision.backoff_max = hours(1);
  TestPool pool(options, host);
  const Pool::Sent sent = test::send(*pool);
  EXPECT_EQ(sent.result, SendResult::WorkerFailed);
  EXPECT_EQ(sent.failure.message, "the script ended before it asked for its first task");
}

TEST(Pool, ALivingSiblingKeepsSendersWaiting) {
  // The first run fails before it was ready while the second thread still starts: the sender waits for it.
  Gate second, failed;
  FakeHost host([&](Script& script) {
    if (FakeHost::run_number() == 1) {
      second.wait();
      failed.open();
      return test::crash();
    }
    second.open();
    failed.wait();
    return script.echo();
  });
  PoolOptions options = options_of(2);
  options.supervision.backoff_min = options.supervision.backoff_max = hours(1);
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
}

TEST(Pool, TaskTimeoutEndsRunningAndQueuedTasks) {
  Gate release, holding;
  FakeHost host(hold_first_until(release, &holding));
  PoolOptions options = options_of(1, 1);
  options.task_timeout = milliseconds(5);
  TestPool pool(options, host);
  const Pool::Sent running = test::send(*pool);
  holding.wait();
  const Pool::Sent queued = test::send(*pool);
  for (const Pool::Sent* sent : {&running, &queued}) {
    EXPECT_EQ(test::end_of(*sent->task), ReadResult::Failed);
    EXPECT_EQ(sent->task->state(), TaskState::TimedOut);
    EXPECT_EQ(sent->task->failure().reason, Reason::Deadline);
  }
  test::eventually([&] { return pool->stats().queued == 0; });  // its place is free
  release.open();
  EXPECT_EQ(pool->counters().timed_out, 2u);
}

TEST(Pool, ATimeoutIsKeptAlsoWhenTheTimersAreLate) {
  Gate busy;
  const auto go_on = std::make_shared<Gate>();  // the timers' thread may leave it later than this test
  Timers::global().schedule(now(), [&busy, go_on] {
    busy.open();
    go_on->wait();
  });
  busy.wait();
  const auto late = [](Task& task) { return now() >= after(task.created(), milliseconds(50)); };
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      test::eventually([&] { return late(*task); });
      const std::string how = text_of(task->payload());
      if (how == "completes") {
        EXPECT_FALSE(task->complete(Payload()));
      } else if (how == "updates") {
        EXPECT_EQ(task->update(test::payload_of("x"), nullptr), Task::UpdateResult::Closed);
      } else {
        EXPECT_TRUE(task->closed());
      }
      script.slot.release(*task);
    }
    return test::clean_end();
  });
  PoolOptions options = options_of(1, 1);
  options.task_timeout = milliseconds(30);
  TestPool pool(options, host);
  for (const char* how : {"completes", "updates", "looks"}) {
    const Pool::Sent sent = test::send(*pool, how);
    EXPECT_EQ(test::end_of(*sent.task), ReadResult::Failed);
    EXPECT_EQ(sent.task->state(), TaskState::TimedOut);
    EXPECT_EQ(sent.task->failure().reason, Reason::Deadline);
  }
  EXPECT_EQ(pool->counters().timed_out, 3u);
  go_on->open();
}

TEST(Pool, ATasksOwnTimeoutReplacesThePools) {
  Gate release, holding;
  FakeHost host(hold_first_until(release, &holding));
  PoolOptions options = options_of(1);
  options.task_timeout = hours(1);
  TestPool pool(options, host);
  const Pool::Sent sent = pool->send(Payload(), kNever, nullptr, milliseconds(5));
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Failed);
  EXPECT_EQ(sent.task->state(), TaskState::TimedOut);
  release.open();
}

TEST(Pool, AnEndedTasksTimerIsGone) {
  FakeHost host;
  PoolOptions options = options_of(1);
  options.task_timeout = hours(1);
  TestPool pool(options, host);
  const long before = pool.pool.use_count();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  // A timer would hold its task, and that the pool, for an hour.
  pool.drain();
  EXPECT_LE(pool.pool.use_count(), before);
}

TEST(Pool, AcceptedTasksArePickedUpByTheNextRun) {
  // The worker dies with one task in hand and two in the queue: only the first is lost.
  Gate die;
  FakeHost host([&](Script& script) {
    if (FakeHost::run_number() == 1) {
      const Ref<Task> held = script.receive();
      die.wait();
      return test::crash(Reason::MemoryLimit, "too much");
    }
    return script.echo();
  });
  TestPool pool(options_of(1, 2), host);
  const Pool::Sent held = test::send(*pool, "a");
  test::eventually([&] { return held.task->state() == TaskState::Running; });
  const Pool::Sent one = test::send(*pool, "b"), two = test::send(*pool, "c");
  die.open();
  EXPECT_EQ(test::end_of(*held.task), ReadResult::Failed);
  EXPECT_EQ(held.task->failure().reason, Reason::MemoryLimit);
  EXPECT_EQ(held.task->failure().message, "too much");
  EXPECT_EQ(held.task->failure().exit_status, 255);
  EXPECT_EQ(test::end_of(*one.task), ReadResult::Completed);
  EXPECT_EQ(test::end_of(*two.task), ReadResult::Completed);
  EXPECT_EQ(pool->counters().failed[static_cast<size_t>(Reason::MemoryLimit)], 1u);
}

TEST(Pool, OneWorkersCrashLeavesItsSiblingsTaskAlone) {
  Gate both, die, finish;
  std::atomic<int> holding{0};
  FakeHost host([&](Script& script) {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    const std::string text = text_of(task->payload());
    if (++holding == 2) both.open();
    if (text == "die") {
      die.wait();
      return test::crash();
    }
    finish.wait();
    script.complete(std::move(task), text);
    return script.echo();
  });
  TestPool pool(options_of(2), host);
  const Pool::Sent doomed = test::send(*pool, "die"), healthy = test::send(*pool, "live");
  both.wait();
  die.open();
  EXPECT_EQ(test::end_of(*doomed.task), ReadResult::Failed);
  EXPECT_EQ(doomed.task->failure().reason, Reason::FatalError);
  EXPECT_FALSE(healthy.task->ended());
  finish.open();
  EXPECT_EQ(test::end_of(*healthy.task), ReadResult::Completed);
}

TEST(Pool, AWorkerThatHoldsSeveralTasksFailsAllOfThemWhenItDies) {
  FakeHost host([&](Script& script) {
    if (FakeHost::run_number() > 1) return script.echo();
    Ref<Task> one = script.receive(), two = script.receive(), three = script.receive();
    script.complete(std::move(two), "in the middle");
    return test::crash(Reason::Exited, "exit(3)");
  });
  TestPool pool(options_of(1, 3), host);
  const Pool::Sent one = test::send(*pool), two = test::send(*pool), three = test::send(*pool);
  EXPECT_EQ(test::end_of(*one.task), ReadResult::Failed);
  EXPECT_EQ(test::end_of(*two.task), ReadResult::Completed);
  EXPECT_EQ(test::end_of(*three.task), ReadResult::Failed);
  EXPECT_EQ(three.task->failure().message, "exit(3)");
  EXPECT_EQ(pool->stats().running, 0u);
}

TEST(Pool, CountersAreTheHistory) {
  Gate release;
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      const std::string text = text_of(task->payload());
      if (text == "fail") {
        task->fail(test::failure_of(Reason::UncaughtException));
        script.slot.release(*task);
      } else if (text == "die") {
        return test::crash();
      } else if (text == "hold") {
        release.wait();
        script.slot.release(*task);
      } else {
        task->update(Payload(), nullptr);
        script.complete(std::move(task));
      }
    }
    return test::clean_end();
  });
  TestPool pool(options_of(1, 10), host);
  const Pool::Sent held = test::send(*pool, "hold");
  test::eventually([&] { return held.task->state() == TaskState::Running; });
  held.task->cancel();
  release.open();
  for (const char* text : {"x", "fail", "die", "x"}) test::end_of(*test::send(*pool, text).task);
  const Counters& counters = pool->counters();
  EXPECT_EQ(counters.accepted, 5u);
  EXPECT_EQ(counters.ended(), 5u);
  EXPECT_EQ(counters.completed, 2u);
  EXPECT_EQ(counters.cancelled, 1u);
  EXPECT_EQ(counters.updates, 2u);
  EXPECT_EQ(counters.failed[static_cast<size_t>(Reason::UncaughtException)], 1u);
  EXPECT_EQ(counters.failed[static_cast<size_t>(Reason::FatalError)], 1u);
  EXPECT_EQ(counters.refused, 0u);
  pool.drain();
  EXPECT_EQ(counters.starts, 2u);
  EXPECT_EQ(counters.crashes, 1u);
}

// --- a system without threads to give ------------------------------------------------------------------

// In a process of its own, without the right to start threads. The limit does not bind root, so this
// thread becomes nobody (the system call, not its wrapper, is of this thread only).
bool forbid_threads() {
  rlimit limit;
  if (getrlimit(RLIMIT_NPROC, &limit) != 0) return false;
  limit.rlim_cur = 0;
  if (setrlimit(RLIMIT_NPROC, &limit) != 0) return false;
  return geteuid() != 0 || syscall(SYS_setresuid, 65534, 65534, 65534) == 0;
}
bool allow_threads() {
  rlimit limit;
  if (getrlimit(RLIMIT_NPROC, &limit) != 0) return false;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NPROC, &limit) == 0;
}

void without_threads() {
  const auto check = [](bool fine, int which) {
    if (!fine) _exit(which);
  };
  FakeHost host;
  const auto lazy = Pool::create(options_of(0), host);
  const auto eager = Pool::create(options_of(2), host);
  check(forbid_threads(), 100);
  // Refused, and not once for ever: a pool whose first thread was refused blocked its later senders.
  for (int i = 0; i < 2; ++i) {
    const Pool::Sent sent = lazy->send(Payload(), kNever, nullptr);
    check(sent.result == SendResult::NoThread, 1);
    check(sent.detail.find("could not start a thread for background worker \"w\"") != std::string::npos, 2);
    check(!sent.task, 3);
    std::string error;
    check(!lazy->ensure_started(error) && !error.empty(), 4);
    check(lazy->stats().threads == 0, 5);
  }
  std::string error;
  check(!eager->start(error) && !error.empty(), 6);
  check(lazy->counters().refused == 2, 7);

  check(allow_threads(), 101);
  const Pool::Sent sent = lazy->send(Payload(), kNever, nullptr);
  check(sent.result == SendResult::Accepted, 8);
  check(test::end_of(*sent.task) == ReadResult::Completed, 9);
  check(eager->start(error), 10);
  Failure failure;
  check(eager->wait_ready(kNever, error, failure), 11);

  lazy->begin_drain();
  eager->begin_drain();
  check(lazy->finish_drain() == 0 && eager->finish_drain() == 0, 12);
  _exit(0);
}

TEST(PoolDeathTest, AThreadThatTheSystemRefusesIsAnErrorForThisCallOnly) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(without_threads(), testing::ExitedWithCode(0), "");
}

void growth_without_threads() {
  Gate release;
  FakeHost host(hold_first_until(release));
  PoolOptions options = options_of(1, 1);
  options.max_threads = 2;
  const auto pool = Pool::create(options, host);
  std::string error;
  Failure failure;
  if (!pool->start(error) || !pool->wait_ready(kNever, error, failure)) _exit(1);
  const Pool::Sent held = test::send(*pool);
  test::eventually([&] { return held.task->state() == TaskState::Running; });
  if (!forbid_threads()) _exit(100);
  const Pool::Sent queued = test::send(*pool);
  if (queued.result != SendResult::Accepted || pool->stats().threads != 1) _exit(2);
  release.open();
  if (test::end_of(*queued.task) != ReadResult::Completed) _exit(3);
  pool->begin_drain();
  _exit(pool->finish_drain() == 0 ? 0 : 4);
}

TEST(PoolDeathTest, GrowthThatTheSystemRefusesLeavesTheTaskToThoseThatLive) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(growth_without_threads(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace igor
