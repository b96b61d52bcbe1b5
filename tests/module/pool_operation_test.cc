// A pool that is steered and looked at while it runs.
#include <gmock/gmock.h>

#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "module/generation.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using test::FakeHost;
using test::Gate;
using test::options_of;
using test::payload_of;
using test::Script;
using test::TestPool;
using test::text_of;
using testing::HasSubstr;
using ReadResult = Task::ReadResult;
using SendResult = Pool::SendResult;

PoolOptions patient(uint32_t num, uint32_t queue = 8) {
  PoolOptions options = options_of(num, queue);
  options.stop_grace = hours(1);
  return options;
}

PoolReport::State state_of(Pool& pool) {
  return pool.report().state;
}

// --- who gets a task ---------------------------------------------------------------------------------------

// Workers that hold what they get, one after the other; the order in which they got it.
TEST(PoolOperation, LeastBusyOffersToWhoHoldsTheFewest) {
  std::mutex mutex;
  std::map<uint32_t, int> got;
  FakeHost host([&](Script& script) {
    std::vector<Ref<Task>> held;
    while (Ref<Task> task = script.receive()) {
      std::lock_guard lock(mutex);
      ++got[script.slot.index()];
      held.push_back(std::move(task));
    }
    for (Ref<Task>& task : held) script.complete(std::move(task));
    return test::clean_end();
  });
  PoolOptions options = patient(3);
  options.dispatch = DispatchPolicy::LeastBusy;
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  std::vector<Ref<Task>> tasks;
  for (int i = 0; i < 9; ++i) {
    // Each is sent when all wait: so it is the policy that decides, not who happens to be back.
    test::eventually([&] { return pool->stats().waiting == 3; });
    tasks.push_back(test::send(*pool).task);
    test::eventually([&] { return pool->stats().running == static_cast<size_t>(i) + 1; });
  }
  test::eventually([&] { return pool->stats().waiting == 3; });  // and has noted what it got
  {
    std::lock_guard lock(mutex);
    EXPECT_THAT(got, testing::ElementsAre(testing::Pair(0, 3), testing::Pair(1, 3), testing::Pair(2, 3)));
  }
  pool.drain();
}

// --- pause, resume, drain ------------------------------------------------------------------------------

TEST(PoolOperation, APausedPoolQueuesAndHandsOutNothing) {
  FakeHost host;
  TestPool pool(patient(2, 2), host);
  test::start_and_wait(*pool);
  test::eventually([&] { return pool->stats().waiting == 2; });
  std::string error;
  ASSERT_TRUE(pool->pause(error)) << error;
  EXPECT_TRUE(pool->pause(error)) << "twice";
  EXPECT_EQ(state_of(*pool), PoolReport::State::Paused);
  const auto one = test::send(*pool, "1").task, two = test::send(*pool, "2").task;
  EXPECT_EQ(pool->send(payload_of("3"), now(), nullptr).result, SendResult::TimedOut) << "the queue is full";
  std::thread waiting([&] { EXPECT_EQ(test::end_of(*test::send(*pool, "4").task), ReadResult::Completed); });
  test::eventually([&] { return pool->stats().blocked_senders == 1; });
  EXPECT_EQ(one->state(), TaskState::Pending);
  EXPECT_EQ(pool->stats().waiting, 2u) << "the workers wait as before";
  ASSERT_TRUE(pool->resume(error)) << error;
  for (const auto& task : {one, two}) EXPECT_EQ(test::end_of(*task), ReadResult::Completed);
  waiting.join();
  EXPECT_EQ(state_of(*pool), PoolReport::State::Running);
  EXPECT_EQ(host.runs, 2);
}

TEST(PoolOperation, WhatWasOfferedAndNotClaimedGoesBackIntoTheQueue) {
  Gate offered, go, looked;
  FakeHost host([&](Script& script) {
    while (script.slot.poll_signal() == WorkerSlot::Signal::None) std::this_thread::yield();
    offered.open();
    go.wait();
    EXPECT_FALSE(script.slot.claim());
    looked.open();
    return script.echo();
  });
  TestPool pool(patient(1), host);
  test::start_and_wait(*pool);
  const auto first = test::send(*pool, "1").task;
  offered.wait();
  const auto second = test::send(*pool, "2").task;
  std::string error;
  ASSERT_TRUE(pool->pause(error));
  EXPECT_EQ(pool->stats().queued, 2u);
  go.open();
  looked.wait();
  EXPECT_EQ(first->state(), TaskState::Pending);
  ASSERT_TRUE(pool->resume(error));
  EXPECT_EQ(test::end_of(*first), ReadResult::Completed);
  EXPECT_EQ(test::end_of(*second), ReadResult::Completed);
}

TEST(PoolOperation, APausedPoolRefusesOverflowAndStartsNothing) {
  FakeHost host;
  PoolOptions options = patient(0, 1);
  options.overflow_reject = true;
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->pause(error));
  const auto queued = test::send(*pool).task;
  ASSERT_TRUE(queued);
  EXPECT_EQ(test::send(*pool).result, SendResult::Overflow);
  EXPECT_EQ(host.enters, 0);
  ASSERT_TRUE(pool->resume(error));
  EXPECT_EQ(test::end_of(*queued), ReadResult::Completed) << "resuming starts a worker for what has queued up";
}

TEST(PoolOperation, ADrainedPoolHasNoWorkersUntilItIsResumed) {
  Gate holding, release;
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      if (text_of(task->payload()) == "hold") {
        holding.open();
        release.wait();
      }
      script.complete(std::move(task));
    }
    return test::clean_end();
  });
  TestPool pool(patient(2), host);
  test::start_and_wait(*pool);
  const auto held = test::send(*pool, "hold").task;
  holding.wait();
  std::string error;
  ASSERT_TRUE(pool->drain(error)) << error;
  EXPECT_EQ(state_of(*pool), PoolReport::State::Draining);
  const auto queued = test::send(*pool, "queued").task;
  test::eventually([&] { return pool->size() == 1; });
  release.open();
  EXPECT_EQ(test::end_of(*held), ReadResult::Completed) << "it may finish what it holds";
  test::eventually([&] { return state_of(*pool) == PoolReport::State::Drained; });
  EXPECT_TRUE(pool->report().workers.empty());
  EXPECT_TRUE(pool->start(error));
  EXPECT_TRUE(pool->grow(error));
  EXPECT_TRUE(pool->ensure_started(error));
  EXPECT_EQ(pool->look(now(), nullptr).result, SendResult::TimedOut);
  EXPECT_EQ(pool->size(), 0u) << "nothing starts a worker";
  EXPECT_FALSE(pool->restart(error));
  EXPECT_THAT(error, HasSubstr("is drained"));
  ASSERT_TRUE(pool->resume(error)) << error;
  EXPECT_EQ(test::end_of(*queued), ReadResult::Completed);
  EXPECT_EQ(pool->size(), 2u);
}

TEST(PoolOperation, ResumedWhileItsOldWorkersStillEnd) {
  Gate holding, release;
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      if (text_of(task->payload()) == "hold") {
        holding.open();
        release.wait();
      }
      script.complete(std::move(task));
    }
    return test::clean_end();
  });
  TestPool pool(patient(1), host);
  test::start_and_wait(*pool);
  const auto held = test::send(*pool, "hold").task;
  holding.wait();
  std::string error;
  ASSERT_TRUE(pool->drain(error));
  ASSERT_TRUE(pool->resume(error));
  EXPECT_EQ(test::end_of(*test::send(*pool, "next").task), ReadResult::Completed) << "by a worker in its place";
  release.open();
  EXPECT_EQ(test::end_of(*held), ReadResult::Completed);
  test::eventually([&] { return pool->size() == 1; });
}

TEST(PoolOperation, ADrainThatComesBetweenTwoRunsEndsTheWorkerToo) {
  FakeHost host([](Script&) { return test::crash(); });
  PoolOptions options = patient(1);
  options.supervision.backoff_min = options.supervision.backoff_max = hours(1);
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  test::eventually([&] { return pool->stats().restarting == 1; });
  ASSERT_TRUE(pool->drain(error));
  test::eventually([&] { return state_of(*pool) == PoolReport::State::Drained; });
}

// The breaker had let one run through; with it the whole pool would wait for ever if it were forgotten.
TEST(PoolOperation, ATrialRunThatIsStoppedDoesNotKeepTheBreakerShutForEver) {
  Gate trial, release;
  std::atomic<bool> broken{true};
  FakeHost host([&](Script& script) {
    if (FakeHost::run_number() == 1) return test::crash();
    if (broken) {
      trial.open();
      release.wait();
      return test::clean_end();
    }
    return script.echo();
  });
  PoolOptions options = patient(1);
  options.supervision.max_consecutive_failures = 1;
  options.supervision.backoff_max = milliseconds(1);
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  trial.wait();
  EXPECT_EQ(pool->report().breaker, PoolReport::Breaker::HalfOpen);
  ASSERT_TRUE(pool->drain(error));
  broken = false;
  release.open();
  test::eventually([&] { return state_of(*pool) == PoolReport::State::Drained; });
  ASSERT_TRUE(pool->resume(error));
  Failure failure;
  test::eventually([&] { return pool->stats().ready == 1; });
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
}

TEST(PoolOperation, HttpWorkersAreNeitherPausedNorDrained) {
  FakeHost host;
  PoolOptions options = patient(0);
  options.kind = PoolKind::Requests;
  TestPool pool(options, host);
  std::string error;
  EXPECT_FALSE(pool->pause(error));
  EXPECT_EQ(error, "worker \"w\" answers HTTP requests: it cannot be paused, only restarted");
  EXPECT_FALSE(pool->drain(error));
  EXPECT_EQ(error, "worker \"w\" answers HTTP requests: it cannot be drained, only restarted");
  EXPECT_TRUE(pool->resume(error));
  pool.drain();
  for (auto action : {&Pool::pause, &Pool::drain, &Pool::resume}) {
    EXPECT_FALSE((pool.pool.get()->*action)(error));
  }
}

// --- one worker ----------------------------------------------------------------------------------------

TEST(PoolOperation, OneWorkerIsRestartedAndTheOthersGoOn) {
  FakeHost host;
  TestPool pool(patient(2), host);
  test::start_and_wait(*pool);
  EXPECT_FALSE(pool->restart_worker(2));
  ASSERT_TRUE(pool->restart_worker(1));
  test::eventually([&] { return host.runs == 3 && pool->stats().ready == 2; });
  EXPECT_EQ(host.enters, 2) << "the same threads";
  EXPECT_EQ(host.interruptions, 0);
  EXPECT_EQ(pool->counters().restarts_restarted, 1u);
  EXPECT_EQ(pool->counters().restarts_ended, 0u);
  EXPECT_EQ(pool->report().workers[1].starts, 2u);
}

TEST(PoolOperation, AWorkerThatDoesNotListenIsInterruptedAndStartsAfresh) {
  FakeHost host([](Script& script) {
    if (FakeHost::run_number() > 1) return script.echo();
    script.slot.poll_signal();
    Wakeup never;
    while (!script.interrupt.raised()) never.wait(never.ticket(), kNever, &script.interrupt);
    return test::crash(Reason::Shutdown);
  });
  PoolOptions options = patient(1);
  options.stop_grace = milliseconds(1);
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  ASSERT_TRUE(pool->restart_worker(0));
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  EXPECT_GE(host.interruptions, 1);
  EXPECT_EQ(pool->counters().crashes, 1u);
  EXPECT_EQ(pool->stats().consecutive_failures, 0) << "it was told to";
}

// --- recycling -------------------------------------------------------------------------------------------

TEST(PoolOperation, AWorkerStartsAfreshAfterMaxTasksAndNoneIsLost) {
  FakeHost host;
  PoolOptions options = patient(2, 2);
  options.max_tasks = 3;
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  test::eventually([&] { return pool->counters().restarts_recycled >= 8; });
  EXPECT_LE(pool->counters().restarts_recycled, 10u);
  EXPECT_EQ(pool->counters().completed, 30u);
  EXPECT_EQ(pool->counters().crashes, 0u);
  EXPECT_EQ(host.enters, 2) << "the same threads";
}

TEST(PoolOperation, AWorkerThatHasHadItsShareKeepsWhatItHolds) {
  Gate release;
  FakeHost host([&](Script& script) {
    std::vector<Ref<Task>> held;
    while (held.size() < 2) {
      if (Ref<Task> task = script.receive()) held.push_back(std::move(task));
      if (script.last == WorkerSlot::Signal::Stop) return test::clean_end();
    }
    // Two were its share; no third is offered, and no stop while it holds them.
    EXPECT_EQ(script.slot.poll_signal(), WorkerSlot::Signal::None);
    release.wait();
    EXPECT_EQ(script.slot.poll_signal(), WorkerSlot::Signal::None);
    script.complete(std::move(held[0]));
    EXPECT_EQ(script.slot.poll_signal(), WorkerSlot::Signal::None);
    script.complete(std::move(held[1]));
    EXPECT_EQ(script.slot.poll_signal(), WorkerSlot::Signal::Stop);
    return test::clean_end();
  });
  PoolOptions options = patient(1);
  options.max_tasks = 2;
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  std::vector<Ref<Task>> tasks;
  for (int i = 0; i < 4; ++i) tasks.push_back(test::send(*pool).task);
  test::eventually([&] { return pool->stats().running == 2; });
  EXPECT_EQ(pool->stats().queued, 2u);
  release.open();
  for (const auto& task : tasks) EXPECT_EQ(test::end_of(*task), ReadResult::Completed);
  EXPECT_GE(host.runs, 2);
}

TEST(PoolOperation, MemoryBeyondTheBoundRecyclesAndTheReportShowsIt) {
  Gate reported;
  FakeHost host([&](Script& script) {
    script.slot.ready();
    if (FakeHost::run_number() == 1) {
      script.slot.memory_held(100);
      EXPECT_FALSE(script.slot.stopping());
      script.slot.memory_held(101);
      EXPECT_TRUE(script.slot.stopping());
      return test::clean_end();
    }
    script.slot.memory_held(42);
    reported.open();
    return script.echo();
  });
  PoolOptions options = patient(1);
  options.max_memory = 100;
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  reported.wait();
  EXPECT_EQ(pool->counters().restarts_recycled, 1u);
  EXPECT_EQ(pool->report().workers[0].memory, 42u);
}

TEST(PoolOperation, RequestsCountAsWellAndRecycleAfterMaxTasks) {
  FakeHost host([](Script& script) {
    script.slot.ready();
    while (!script.slot.stopping()) {
      if (FakeHost::run_number() == 1) {
        script.slot.set_activity({"GET /x"}, now());
        script.slot.set_activity({}, now());
        script.slot.handled(milliseconds(1), milliseconds(2));
        continue;
      }
      const auto ticket = script.slot.wakeup().ticket();
      if (!script.slot.stopping()) script.slot.wakeup().wait(ticket, kNever);
    }
    return test::clean_end();
  });
  PoolOptions options = patient(1);
  options.kind = PoolKind::Requests;
  options.max_tasks = 5;
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  test::eventually([&] { return host.runs == 2; });
  EXPECT_EQ(pool->counters().requests, 5u);
  EXPECT_EQ(pool->counters().restarts_recycled, 1u);
  EXPECT_EQ(pool->counters().wait.values().sum_us, 5000u);
  EXPECT_EQ(pool->counters().run.values().sum_us, 10000u);
  EXPECT_EQ(pool->counters().total.values().sum_us, 15000u);
  EXPECT_EQ(pool->report().workers[0].handled, 5u);
}

// --- lost workers ------------------------------------------------------------------------------------------

// A script that never ends, whatever one does, until the test is over. The pool outlives the test's hold on it.
struct Stuck {
  std::shared_ptr<Gate> release = std::make_shared<Gate>();
  std::shared_ptr<std::atomic<int>> stuck = std::make_shared<std::atomic<int>>(0);

  RunOutcome operator()(Script& script) const {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    if (text_of(task->payload()) == "stuck") {
      ++*stuck;
      release->wait();
      script.slot.release(*task);
      return test::clean_end();
    }
    script.complete(std::move(task));
    return script.echo();
  }
};

TEST(PoolOperation, ALostWorkerIsReplaced) {
  Stuck stuck;
  FakeHost host(stuck);
  PoolOptions options = patient(1);
  options.stop_grace = milliseconds(1);
  {
    TestPool pool(options, host);
    test::start_and_wait(*pool);
    const auto task = test::send(*pool, "stuck").task;
    test::eventually([&] { return *stuck.stuck == 1; });
    ASSERT_TRUE(pool->restart_worker(0));
    EXPECT_EQ(test::end_of(*task), ReadResult::Failed);
    EXPECT_EQ(task->failure().reason, Reason::WorkerLost);
    EXPECT_EQ(test::end_of(*test::send(*pool, "next").task), ReadResult::Completed);
    EXPECT_EQ(pool->stats().lost, 1u);
    EXPECT_EQ(pool->counters().crashes, 1u);
    EXPECT_EQ(pool->counters().restarts_crashed, 1u);
    EXPECT_EQ(pool->report().workers[0].state, WorkerReport::State::Lost);
    EXPECT_FALSE(pool->restart_worker(0)) << "there is nothing to restart";
    EXPECT_EQ(pool.drain(), 1u);
  }
  stuck.release->open();
  test::eventually([&] { return host.leaves == host.enters; });
}

TEST(PoolOperation, TooManyLostWorkersAreNotReplacedAndEverybodyIsTold) {
  Stuck stuck;
  FakeHost host(stuck);
  constexpr int kAll = Pool::kMostLost + 1;
  PoolOptions options = patient(1, 1);
  options.max_threads = kAll;
  options.stop_grace = milliseconds(1);
  {
    TestPool pool(options, host);
    std::vector<Ref<Task>> tasks;
    for (int i = 0; i < kAll; ++i) {
      tasks.push_back(test::send(*pool, "stuck").task);
      test::eventually([&] { return *stuck.stuck == i + 1; });
    }
    const auto queued = test::send(*pool, "queued").task;
    SendResult waited = SendResult::Accepted;
    std::thread waiting([&] { waited = test::send(*pool, "waits").result; });
    test::eventually([&] { return pool->stats().blocked_senders == 1; });
    // Replacements take what is queued only if they come to be; the last one may not.
    std::string error;
    ASSERT_TRUE(pool->pause(error));
    for (uint32_t i = 0; i < kAll; ++i) ASSERT_TRUE(pool->restart_worker(i));
    for (const auto& task : tasks) EXPECT_EQ(test::end_of(*task), ReadResult::Failed);
    test::eventually([&] { return pool->stats().lost == kAll; });
    EXPECT_EQ(pool->size(), static_cast<uint32_t>(Pool::kMostLost)) << "so many others are there";
    // Those end; then there is nobody, and nobody can come.
    ASSERT_TRUE(pool->drain(error));
    test::eventually([&] { return pool->size() == 0; });
    EXPECT_FALSE(pool->resume(error));
    EXPECT_THAT(error, HasSubstr("17 of them could not be stopped"));
    waiting.join();
    EXPECT_EQ(waited, SendResult::NoThread);
    EXPECT_EQ(test::end_of(*queued), ReadResult::Failed);
    EXPECT_EQ(queued->failure().reason, Reason::WorkerLost);
    EXPECT_EQ(test::send(*pool).result, SendResult::NoThread);
    EXPECT_EQ(pool.drain(), 17u);
  }
  stuck.release->open();
  test::eventually([&] { return host.leaves == host.enters; });
}

// --- restart -------------------------------------------------------------------------------------------------

class PoolRestart : public testing::Test {
 protected:
  void open(PoolOptions options) {
    std::string error;
    ASSERT_TRUE(generation->global()->add(std::move(options), error)) << error;
    ASSERT_TRUE(generation->start(error)) << error;
  }
  std::shared_ptr<Pool> today() { return generation->global()->pool(PoolKind::Tasks, "w"); }

  Gate holding, release;
  std::atomic<bool> broken{false};
  FakeHost host{[this](Script& script) {
    if (broken) return test::crash(Reason::UncaughtException, "no database");
    while (Ref<Task> task = script.receive()) {
      if (text_of(task->payload()) == "hold") {
        holding.open();
        release.wait();
      }
      script.complete(std::move(task));
    }
    return test::clean_end();
  }};
  std::unique_ptr<Generation> generation = std::make_unique<Generation>(host);
};

TEST_F(PoolRestart, ReadyWorkersTakeOverAndTheOldOnesFinish) {
  open(patient(1));
  const auto old = today();
  const auto held = test::send(*old, "hold").task;
  holding.wait();
  const auto queued = test::send(*old, "queued").task;
  std::string error;
  ASSERT_TRUE(old->restart(error)) << error;
  EXPECT_NE(today(), old);
  EXPECT_EQ(old->successor(), today());
  EXPECT_EQ(today()->home(), generation->global());
  EXPECT_EQ(test::end_of(*queued), ReadResult::Completed);
  EXPECT_EQ(held->state(), TaskState::Running);
  EXPECT_EQ(today()->counters().restarts_restarted, 1u);
  EXPECT_FALSE(old->restart(error));
  EXPECT_THAT(error, HasSubstr("is shutting down"));
  release.open();
  EXPECT_EQ(test::end_of(*held), ReadResult::Completed);
  test::eventually([&] { return old->finished(); });  // by the timers
  EXPECT_EQ(generation->close(), 0u);
}

TEST_F(PoolRestart, WhenTheNewOnesDoNotStartTheOldOnesGoOn) {
  PoolOptions options = patient(2);
  options.supervision.max_consecutive_failures = 2;
  open(options);
  const auto old = today();
  broken = true;
  std::string error;
  EXPECT_FALSE(old->restart(error));
  EXPECT_THAT(error, HasSubstr("failed twice before it was ready: no database"));
  EXPECT_EQ(today(), old);
  EXPECT_EQ(test::end_of(*test::send(*old).task), ReadResult::Completed);
  EXPECT_EQ(old->counters().restarts_restarted, 0u);
  broken = false;
  ASSERT_TRUE(old->restart(error)) << error;
  EXPECT_EQ(today()->size(), 2u);
  EXPECT_EQ(today()->counters().restarts_restarted, 2u);
}

TEST_F(PoolRestart, APoolWithoutThreadsStaysWithoutAndAPausedOneStaysPaused) {
  open(patient(0));
  std::string error;
  ASSERT_TRUE(today()->restart(error)) << error;
  EXPECT_EQ(host.enters, 0);
  ASSERT_TRUE(today()->pause(error));
  const auto queued = test::send(*today()).task;
  ASSERT_TRUE(today()->restart(error)) << error;
  EXPECT_EQ(state_of(*today()), PoolReport::State::Paused);
  EXPECT_EQ(queued->state(), TaskState::Pending);
  ASSERT_TRUE(today()->resume(error));
  EXPECT_EQ(test::end_of(*queued), ReadResult::Completed);
}

TEST_F(PoolRestart, APoolInTwoConfigurationsIsReplacedInBoth) {
  open(patient(1));
  const auto old = today();
  Generation next(host, generation.get());
  std::string error;
  ASSERT_TRUE(next.global()->add(patient(1), error));
  ASSERT_TRUE(next.start(error));
  ASSERT_TRUE(old->restart(error)) << error;
  const auto fresh = today();
  EXPECT_NE(fresh, old);
  EXPECT_EQ(next.global()->pool(PoolKind::Tasks, "w"), fresh);
  EXPECT_EQ(fresh->home(), next.global());
  EXPECT_EQ(generation->close(), 0u);
  EXPECT_FALSE(fresh->draining());
  EXPECT_EQ(test::end_of(*test::send(*old).task), ReadResult::Completed);
  EXPECT_EQ(next.close(), 0u);
  EXPECT_EQ(host.leaves, host.enters);
}

TEST_F(PoolRestart, AReloadThatComesDuringARestartGetsTheNewPoolToo) {
  open(patient(1));
  const auto old = today();
  Gate booting, go;
  host.become([&](Script& script) {
    booting.open();
    go.wait();
    return script.echo();
  });
  std::string error;
  std::thread operators([&] { EXPECT_TRUE(old->restart(error)) << error; });
  booting.wait();
  Generation next(host, generation.get());
  std::string problem;
  ASSERT_TRUE(next.global()->add(patient(1), problem));
  EXPECT_EQ(next.global()->pool(PoolKind::Tasks, "w"), old) << "it is still the one that runs";
  ASSERT_TRUE(next.start(problem)) << problem;
  go.open();
  operators.join();
  const auto fresh = next.global()->pool(PoolKind::Tasks, "w");
  EXPECT_NE(fresh, old);
  EXPECT_EQ(today(), fresh);
  EXPECT_EQ(generation->close(), 0u);
  EXPECT_FALSE(fresh->draining());
  EXPECT_EQ(test::end_of(*test::send(*old).task), ReadResult::Completed);
  EXPECT_EQ(next.close(), 0u);
}

TEST_F(PoolRestart, ClosingTheConfigurationEndsARestartThatIsUnderWay) {
  open(patient(1));
  const auto old = today();
  Gate booting;
  host.become([&](Script& script) {
    booting.open();
    while (!script.slot.stopping()) {  // never ready
      const auto ticket = script.slot.wakeup().ticket();
      if (!script.slot.stopping()) script.slot.wakeup().wait(ticket, kNever);
    }
    return test::clean_end();
  });
  std::string error, second;
  bool restarted = true;
  std::thread operators([&] { restarted = old->restart(error); });
  booting.wait();
  EXPECT_FALSE(old->restart(second));
  EXPECT_THAT(second, HasSubstr("is being restarted already"));
  EXPECT_EQ(generation->close(), 0u);
  EXPECT_EQ(host.leaves, host.enters) << "no thread of either is left";
  operators.join();
  EXPECT_FALSE(restarted);
  EXPECT_FALSE(old->restart(error));
}

TEST_F(PoolRestart, ManyRestartsUnderLoadLoseNothing) {
  open(patient(2));
  std::atomic<bool> over{false};
  std::thread restarter([&] {
    while (!over) {
      std::string error;
      EXPECT_TRUE(today()->restart(error)) << error;
    }
  });
  for (int i = 0; i < 300; ++i) EXPECT_EQ(test::end_of(*test::send(*today()).task), ReadResult::Completed);
  over = true;
  restarter.join();
  EXPECT_EQ(today()->counters().accepted, 300u);
  EXPECT_EQ(today()->counters().completed, 300u);
  EXPECT_EQ(generation->close(), 0u);
}

// --- cancel and report -----------------------------------------------------------------------------------------

TEST(PoolOperation, ATaskIsCancelledByItsNumber) {
  Gate holding, release;
  FakeHost host([&](Script& script) {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    EXPECT_EQ(task->update(payload_of("so far"), nullptr), Task::UpdateResult::Sent);
    holding.open();
    while (!task->ended()) std::this_thread::yield();
    script.slot.release(*task);
    return script.echo();
  });
  TestPool pool(patient(1), host);
  test::start_and_wait(*pool);
  const auto running = test::send(*pool).task;
  holding.wait();
  const auto queued = test::send(*pool).task;
  EXPECT_FALSE(pool->find_task(queued->id() + 1));
  ASSERT_TRUE(pool->find_task(queued->id()));
  EXPECT_TRUE(pool->find_task(queued->id())->cancel("cancelled by an operator"));
  EXPECT_FALSE(pool->find_task(queued->id())) << "it has ended";
  EXPECT_TRUE(pool->find_task(running->id())->cancel("cancelled by an operator"));
  EXPECT_FALSE(running->cancel("again"));
  Payload update;
  EXPECT_EQ(running->read(update, kNever, nullptr), ReadResult::Update) << "what was sent before is there";
  EXPECT_EQ(running->read(update, kNever, nullptr), ReadResult::Failed);
  EXPECT_EQ(running->state(), TaskState::Cancelled);
  EXPECT_EQ(running->failure().message, "cancelled by an operator");
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  EXPECT_EQ(pool->counters().cancelled, 2u);
}

TEST(PoolOperation, TheReportShowsWorkersTasksAndWhereTheyComeFrom) {
  Gate holding, release;
  FakeHost host([&](Script& script) {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    holding.open();
    release.wait();
    script.complete(std::move(task));
    return script.echo();
  });
  PoolOptions options = patient(1, 3000);
  TestPool pool(options, host);
  EXPECT_TRUE(pool->report().workers.empty());
  test::start_and_wait(*pool);
  test::eventually([&] { return pool->stats().waiting == 1; });
  EXPECT_EQ(pool->report().workers[0].state, WorkerReport::State::Idle);
  const auto origin = Ref<const Origin>::adopt(new Origin("POST /upload.php"));
  const auto held = pool->send(payload_of("12345"), kNever, nullptr, {}, origin).task;
  holding.wait();
  std::vector<Ref<Task>> queued;
  for (int i = 0; i < 1200; ++i) queued.push_back(pool->send(payload_of("1"), kNever, nullptr, {}, origin).task);
  PoolReport report = pool->report();
  EXPECT_EQ(report.queued, 1200u);
  EXPECT_EQ(report.tasks.size(), PoolReport::kMostTasks);
  EXPECT_EQ(report.tasks_omitted, 201u);
  EXPECT_EQ(report.tasks[0].id, queued[0]->id()) << "the oldest first";
  EXPECT_FALSE(report.tasks[0].running);
  EXPECT_EQ(report.tasks[0].origin->text(), "POST /upload.php");
  ASSERT_EQ(report.workers.size(), 1u);
  EXPECT_EQ(report.workers[0].state, WorkerReport::State::Busy);
  EXPECT_EQ(report.workers[0].tasks, 1u);
  EXPECT_TRUE(report.ever_ready);
  for (size_t i = 1; i < queued.size(); ++i) queued[i]->cancel();
  report = pool->report();
  ASSERT_EQ(report.tasks.size(), 2u);
  EXPECT_TRUE(report.tasks[1].running);
  EXPECT_EQ(report.tasks[1].payload_bytes, 5u);
  EXPECT_EQ(report.tasks[1].worker, 0u);
  release.open();
  EXPECT_EQ(test::end_of(*queued[0]), ReadResult::Completed);
  test::eventually([&] { return pool->report().tasks.empty(); });
  EXPECT_EQ(pool->counters().payload_bytes, 1205u);
  EXPECT_EQ(pool->counters().started, 2u);
  EXPECT_EQ(pool->counters().wait.values().count(), 2u);
  EXPECT_EQ(pool->counters().run.values().count(), 2u);
  EXPECT_EQ(pool->counters().total.values().count(), 1201u);
  pool.drain();
  EXPECT_EQ(state_of(*pool), PoolReport::State::Stopping);
}

TEST(PoolOperation, TheReportShowsTheLastFailureAndTheSnapshot) {
  FakeHost host([](Script& script) {
    if (FakeHost::run_number() == 1) return test::crash(Reason::MemoryLimit, "too large");
    script.slot.pool().publish(script.slot, payload_of("abc"));
    return script.echo();
  });
  TestPool pool(patient(1), host);
  test::start_and_wait(*pool);
  const PoolReport report = pool->report();
  ASSERT_TRUE(report.last_failure);
  EXPECT_EQ(report.last_failure->reason, Reason::MemoryLimit);
  EXPECT_LE(report.last_failure_at, report.at);
  EXPECT_EQ(pool->counters().restarts_crashed, 1u);
  test::eventually([&] { return pool->report().snapshot.has_value(); });
  EXPECT_EQ(pool->report().snapshot->version, 1u);
  EXPECT_EQ(pool->report().snapshot->bytes, 3u);
}

TEST(Histogram, AValueIsInTheFirstRangeThatHoldsIt) {
  Histogram histogram;
  using std::chrono::microseconds;
  using std::chrono::nanoseconds;
  histogram.record(nanoseconds(-1));
  histogram.record(microseconds(50));
  histogram.record(microseconds(50) + nanoseconds(1));
  histogram.record(std::chrono::seconds(60));
  histogram.record(std::chrono::seconds(61));
  const auto values = histogram.values();
  EXPECT_EQ(values.counts[0], 2u);
  EXPECT_EQ(values.counts[1], 1u);
  EXPECT_EQ(values.counts[18], 1u);
  EXPECT_EQ(values.counts[19], 1u);
  EXPECT_EQ(values.count(), 5u);
  EXPECT_EQ(values.sum_us, 121000100u);
}

}  // namespace
}  // namespace igor
