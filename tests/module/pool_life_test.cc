// A pool's life: restarts, readiness, the breaker, threads that could not enter.
#include <gmock/gmock.h>

#include <thread>
#include <vector>

#include "module/log.h"
#include "module/pool.h"
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
using ReadResult = Task::ReadResult;
using SendResult = Pool::SendResult;
using testing::HasSubstr;

TEST(PoolLife, AScriptThatReturnsIsStartedAgainAtOnce) {
  FakeHost host([](Script& script) {
    if (Ref<Task> task = script.receive()) script.complete(std::move(task));
    return test::clean_end();
  });
  PoolOptions options = options_of(1);
  options.supervision.backoff_min = options.supervision.backoff_max = hours(1);  // would be noticed
  TestPool pool(options, host);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  pool.drain();
  EXPECT_GE(host.runs, 20);
  EXPECT_EQ(pool->counters().crashes, 0u);
  EXPECT_EQ(host.enters, 1) << "the thread stays";
  EXPECT_EQ(host.leaves, 1);
}

TEST(PoolLife, AWorkerThatDiesOfItsTaskComesBack) {
  FakeHost host([](Script& script) {
    const Ref<Task> task = script.receive();
    return task ? test::crash() : test::clean_end();
  });
  TestPool pool(options_of(1), host);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Failed);
  EXPECT_EQ(pool->stats().consecutive_failures, 0) << "a worker that takes tasks is no failing worker";
}

TEST(PoolLife, WaitReadyTellsOfAScriptThatNeverAsks) {
  Gate release;
  FakeHost host([&](Script& script) {
    release.wait();
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  std::string error;
  Failure failure;
  ASSERT_TRUE(pool->start(error));
  EXPECT_FALSE(pool->wait_ready(after(now(), milliseconds(5)), error, failure));
  EXPECT_THAT(error, HasSubstr("background worker \"w\" (/scripts/w) was not ready in time"));
  release.open();
  EXPECT_TRUE(pool->wait_ready(kNever, error, failure));
}

TEST(PoolLife, WaitReadyTellsOfTheFailureThatOpenedTheBreaker) {
  FakeHost host([](Script&) { return test::crash(Reason::FatalError, "syntax error"); });
  PoolOptions options = options_of(2);
  options.supervision.max_consecutive_failures = 4;
  TestPool pool(options, host);
  std::string error;
  Failure failure;
  ASSERT_TRUE(pool->start(error));
  EXPECT_FALSE(pool->wait_ready(kNever, error, failure));
  EXPECT_THAT(error, HasSubstr("background worker \"w\" (/scripts/w) failed "));
  EXPECT_THAT(error, HasSubstr("syntax error"));
  EXPECT_EQ(failure.reason, Reason::FatalError);
}

TEST(PoolLife, WaitReadyEndsWhenThePoolDrains) {
  Gate release;
  FakeHost host([&](Script& script) {
    release.wait();
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  std::string error;
  Failure failure;
  ASSERT_TRUE(pool->start(error));
  std::thread drainer([&] { pool->begin_drain(); });
  EXPECT_FALSE(pool->wait_ready(kNever, error, failure));
  EXPECT_THAT(error, HasSubstr("was told to stop before it was ready"));
  drainer.join();
  release.open();
}

TEST(PoolLife, WorkersThatAreReadyByTurnsAreReady) {
  // The first becomes ready only after the second has been and waits for its restart.
  Pool* self = nullptr;
  Gate known;
  FakeHost host([&](Script& script) {
    known.wait();
    if (script.slot.index() == 1) {
      script.slot.poll_signal();
      return test::crash();
    }
    test::eventually([&] { return self->stats().restarting == 1; });
    return script.echo();
  });
  PoolOptions options = options_of(2);
  options.supervision.backoff_min = options.supervision.backoff_max = hours(1);
  TestPool pool(options, host);
  self = pool.pool.get();
  known.open();
  test::start_and_wait(*pool);
}

TEST(PoolLife, TheBreakerRefusesAtOnceAndSaysWhy) {
  FakeHost host([](Script&) { return test::crash(Reason::FatalError, "no database"); });
  PoolOptions options = options_of(1);
  options.supervision = {milliseconds(1), hours(1), 1};
  TestPool pool(options, host);
  std::string error;
  Failure failure;
  ASSERT_TRUE(pool->start(error));
  EXPECT_FALSE(pool->wait_ready(kNever, error, failure));
  test::eventually([&] { return pool->stats().restarting == 1; });
  const Pool::Sent sent = test::send(*pool);
  EXPECT_EQ(sent.result, SendResult::BreakerOpen);
  EXPECT_EQ(sent.failures, 1);
  EXPECT_EQ(sent.failure.message, "no database");
  EXPECT_TRUE(pool->stats().breaker_open);
}

TEST(PoolLife, SendersThatWaitLearnOfTheBreaker) {
  Gate sending;
  FakeHost host([&](Script&) {
    sending.wait();
    return test::crash();
  });
  PoolOptions options = options_of(1);
  options.supervision = {milliseconds(1), hours(1), 1};
  TestPool pool(options, host);
  std::thread sender([&] { EXPECT_EQ(test::send(*pool).result, SendResult::BreakerOpen); });
  test::eventually([&] { return pool->stats().blocked_senders == 1; });
  sending.open();
  sender.join();
}

TEST(PoolLife, AHealthySiblingServesOnWhileTheBreakerIsOpen) {
  // The senders of a busy healthy worker were once refused when another worker kept failing.
  Gate holding, release;
  FakeHost host([&](Script& script) {
    if (script.slot.index() != 0) {
      holding.wait();
      return test::crash();
    }
    if (Ref<Task> task = script.receive()) {
      holding.open();
      release.wait();
      script.complete(std::move(task));
    }
    return script.echo();
  });
  PoolOptions options = options_of(2);
  options.supervision = {milliseconds(1), hours(1), 2};
  TestPool pool(options, host);
  const Pool::Sent held = test::send(*pool);
  std::thread sender([&] {
    const Pool::Sent waiting = test::send(*pool);
    ASSERT_EQ(waiting.result, SendResult::Accepted);
    EXPECT_EQ(test::end_of(*waiting.task), ReadResult::Completed);
  });
  test::eventually([&] { return pool->stats().blocked_senders == 1 && pool->stats().breaker_open; });
  release.open();
  sender.join();
  EXPECT_EQ(test::end_of(*held.task), ReadResult::Completed);
  EXPECT_FALSE(pool->stats().breaker_open) << "a completed task closes it";
}

TEST(PoolLife, AHalfOpenBreakerTriesOneWorkerAtATime) {
  std::atomic<int> at_once{0}, most{0}, tries{0};
  std::atomic<bool> opened{false};
  std::atomic<bool> failed_once[4] = {};
  FakeHost host([&](Script& script) {
    if (opened) {
      const int running = ++at_once;
      int seen = most.load();
      while (running > seen && !most.compare_exchange_weak(seen, running)) {
      }
      for (int i = 0; i < 100; ++i) std::this_thread::yield();
      --at_once;
      ++tries;
    }
    failed_once[script.slot.index()] = true;
    return test::crash();
  });
  PoolOptions options = options_of(4);
  options.supervision = {milliseconds(1), milliseconds(2), 1};
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  // Once all four have failed, only tries run.
  for (std::atomic<bool>& failed : failed_once) test::eventually([&] { return failed.load(); });
  opened = true;
  test::eventually([&] { return tries >= 20; });
  EXPECT_EQ(most, 1);
}

TEST(PoolLife, ATryThatIsReadyLetsTheOthersStartAgain) {
  // The one that tries takes its time, so that the others ask meanwhile and are told to wait for its fate.
  std::atomic<bool> broken{true}, tried{false};
  Gate others_asked;
  FakeHost host([&](Script& script) {
    if (broken) return test::crash();
    if (!tried.exchange(true)) {
      Timers::global().schedule(after(now(), milliseconds(50)), [&] { others_asked.open(); });
      others_asked.wait();
    }
    return script.echo();
  });
  PoolOptions options = options_of(3);
  options.supervision = {milliseconds(1), milliseconds(5), 2};
  TestPool pool(options, host);
  std::string error;
  Failure failure;
  ASSERT_TRUE(pool->start(error));
  EXPECT_FALSE(pool->wait_ready(kNever, error, failure));
  broken = false;
  test::eventually([&] { return pool->stats().ready == 3; });
  EXPECT_FALSE(pool->stats().breaker_open);
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
}

TEST(PoolLife, AThreadThatCouldNotEnterTriesAgain) {
  FakeHost host;
  host.refuse_enters = 3;
  PoolOptions options = options_of(1);
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  EXPECT_EQ(host.enters, 4);
  EXPECT_EQ(test::end_of(*test::send(*pool).task), ReadResult::Completed);
  pool.drain();
  EXPECT_EQ(host.leaves, 1);
}

TEST(PoolLife, AThreadThatNeverEntersOpensTheBreakerWithTheHostsWords) {
  FakeHost host;
  host.refuse_enters = 1'000'000;
  PoolOptions options = options_of(1);
  options.supervision = {milliseconds(1), hours(1), 2};
  TestPool pool(options, host);
  std::string error;
  Failure failure;
  ASSERT_TRUE(pool->start(error));
  EXPECT_FALSE(pool->wait_ready(kNever, error, failure));
  EXPECT_THAT(error, HasSubstr("no room for another thread's engine"));
  pool.drain();
  EXPECT_EQ(host.leaves, 0) << "what did not enter does not leave";
}

// The queue is the process's: to be read empty before a test looks at what comes.
void empty_log() {
  LogRecord record;
  uint64_t dropped;
  while (LogQueue::global().next(0, record, dropped) == LogQueue::Next::Record) {
  }
}

TEST(PoolLife, RunsOfHttpWorkersAreLoggedAsSuch) {
  empty_log();
  std::atomic<int> runs{0};
  FakeHost host([&runs](Script& script) {
    if (++runs > 1) return RunOutcome{};
    script.slot.ready();
    return test::clean_end();
  });
  PoolOptions options = options_of(1);
  options.kind = PoolKind::Requests;
  options.supervision = {milliseconds(1), milliseconds(1), 2};
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  LogRecord record;
  uint64_t dropped;
  for (const char* text : {"HTTP worker ended, starting it again", "HTTP worker failed",
                           "HTTP worker keeps failing, its breaker is open"}) {
    ASSERT_EQ(LogQueue::global().next(UINT32_MAX, record, dropped), LogQueue::Next::Record);
    EXPECT_EQ(record.message, text);
  }
}

TEST(PoolLife, RunsThatFailAreLoggedWithTheirReason) {
  empty_log();
  LogRecord record;
  uint64_t dropped;
  FakeHost host([](Script&) { return test::clean_end(); });
  PoolOptions options = options_of(1);
  options.name = "never-asks";
  options.supervision = {hours(1), hours(1), 6};
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  ASSERT_EQ(LogQueue::global().next(UINT32_MAX, record, dropped), LogQueue::Next::Record);
  EXPECT_EQ(record.level, kLogWarn) << "a script that never asks for its first task is a problem";
  EXPECT_EQ(record.logger, "worker");
  EXPECT_EQ(record.message, "background worker failed");
  EXPECT_THAT(record.fields, testing::Contains(testing::Pair("worker", "never-asks")));
  EXPECT_THAT(record.fields, testing::Contains(testing::Pair("thread", "never-asks #0")));
  EXPECT_THAT(record.fields, testing::Contains(testing::Pair("script", "/scripts/w")));
  EXPECT_THAT(record.fields,
              testing::Contains(testing::Pair("error", "the script ended before it asked for its first task")));
}

}  // namespace
}  // namespace igor
