// The system refuses threads, or descriptors: who asked is told, nothing hangs, and it works once there are some.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <thread>

#include "module/generation.h"
#include "module/pool.h"
#include "module/scope.h"
#include "module/timers.h"
#include "tests/module/failing_system.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using test::FakeHost;
using test::Gate;
using test::options_of;
using test::Refuse;
using test::Script;
using test::TestPool;
using testing::HasSubstr;
using ReadResult = Task::ReadResult;
using SendResult = Pool::SendResult;

constexpr const char* kRefused =
    "could not start a thread for background worker \"w\": Resource temporarily unavailable";

// While it lives there are none.
struct NoThreads {
  NoThreads() { test::threads.arm(1, Refuse::FromThenOn); }
  ~NoThreads() { end(); }
  int64_t end() { return test::threads.disarm(); }
};

void expect_works(Pool& pool) {
  const Pool::Sent sent = test::send(pool, "works");
  ASSERT_EQ(sent.result, SendResult::Accepted);
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
}

// The first of these in a process finds no thread for timers either.
TEST(NoThreads, AtBoot) {
  FakeHost host;
  TestPool pool(options_of(2), host);
  std::string error;
  {
    NoThreads none;
    EXPECT_FALSE(pool->start(error));
    EXPECT_EQ(error, kRefused);
    EXPECT_EQ(pool->stats().threads, 0u);
    EXPECT_EQ(none.end(), 1) << "it does not try for ever";
  }
  EXPECT_TRUE(pool->start(error));
  expect_works(*pool);
}

TEST(NoThreads, TheSecondAtBoot) {
  FakeHost host;
  TestPool pool(options_of(2), host);
  ASSERT_EQ(Timers::global().start(), 0);
  test::threads.arm(2, Refuse::Once);
  std::string error;
  EXPECT_FALSE(pool->start(error));
  EXPECT_EQ(test::threads.disarm(), 1);
  EXPECT_EQ(error, kRefused);
  expect_works(*pool);
}

TEST(NoThreads, AConfigurationDoesNotStart) {
  FakeHost host;
  Generation generation(host);
  std::string error;
  ASSERT_TRUE(generation.global()->add(options_of(1), error));
  {
    NoThreads none;
    EXPECT_FALSE(generation.start(error));
    EXPECT_EQ(error, kRefused);
  }
  EXPECT_EQ(generation.close(), 0u);
}

TEST(NoThreads, AtTheFirstSend) {
  FakeHost host;
  TestPool pool(options_of(0), host);
  {
    NoThreads none;
    const Pool::Sent sent = test::send(*pool);
    EXPECT_EQ(sent.result, SendResult::NoThread);
    EXPECT_EQ(sent.detail, kRefused);
    const Pool::Look look = pool->look(kNever, nullptr);
    EXPECT_EQ(look.result, SendResult::NoThread);
    EXPECT_EQ(look.detail, kRefused);
  }
  expect_works(*pool);
  EXPECT_EQ(pool->counters().refused, 1u);
}

TEST(NoThreads, GrowthGoesWithout) {
  Gate release;
  FakeHost host([&](Script& script) {
    while (Ref<Task> task = script.receive()) {
      release.wait();
      script.complete(std::move(task));
    }
    return test::clean_end();
  });
  PoolOptions options = options_of(1, 4);
  options.max_threads = 2;
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  const Pool::Sent held = test::send(*pool);
  Pool::Sent queued;
  {
    NoThreads none;
    queued = test::send(*pool);
    EXPECT_EQ(queued.result, SendResult::Accepted) << "it waits for the one that lives";
    EXPECT_EQ(pool->stats().threads, 1u);
  }
  release.open();
  EXPECT_EQ(test::end_of(*held.task), ReadResult::Completed);
  EXPECT_EQ(test::end_of(*queued.task), ReadResult::Completed);
}

TEST(NoThreads, NoneInThePlaceOfALostOne) {
  Gate blocked, holds;
  FakeHost host([&](Script& script) {
    if (FakeHost::run_number() > 1) return script.echo();
    if (Ref<Task> task = script.receive()) {
      holds.open();
      blocked.wait();  // whatever it is told
      script.slot.release(*task);
    }
    return test::clean_end();
  });
  PoolOptions options = options_of(1, 4);
  options.stop_grace = milliseconds(1);
  TestPool pool(options, host);
  test::start_and_wait(*pool);
  const Pool::Sent lost = test::send(*pool);
  holds.wait();
  const Pool::Sent queued = test::send(*pool);
  ASSERT_EQ(queued.result, SendResult::Accepted);
  {
    NoThreads none;
    EXPECT_TRUE(pool->restart_worker(0));
    EXPECT_EQ(test::end_of(*lost.task), ReadResult::Failed);
    EXPECT_EQ(lost.task->failure().reason, Reason::WorkerLost);
    EXPECT_EQ(test::end_of(*queued.task), ReadResult::Failed) << "nobody is left to do it";
    EXPECT_EQ(queued.task->failure().reason, Reason::WorkerLost);
    EXPECT_EQ(queued.task->failure().message, kRefused);
    const Pool::Sent sent = test::send(*pool);
    EXPECT_EQ(sent.result, SendResult::NoThread);
  }
  expect_works(*pool);
  blocked.open();
  test::eventually([&] { return host.leaves == 1; });
}

TEST(NoThreads, ARestartLeavesThePoolAsItIs) {
  FakeHost host;
  Generation generation(host);
  std::string error;
  ASSERT_TRUE(generation.global()->add(options_of(1), error));
  ASSERT_TRUE(generation.start(error)) << error;
  std::shared_ptr<Pool> pool;
  ASSERT_EQ(generation.global()->find("w", pool), Scope::Lookup::Found);
  {
    NoThreads none;
    EXPECT_FALSE(pool->restart(error));
    EXPECT_EQ(error, kRefused);
  }
  expect_works(*pool);
  EXPECT_TRUE(pool->restart(error)) << error;
  EXPECT_EQ(generation.close(), 0u);
}

TEST(NoThreads, ADrainedPoolCanBeResumedLater) {
  FakeHost host;
  TestPool pool(options_of(1, 4), host);
  test::start_and_wait(*pool);
  std::string error;
  ASSERT_TRUE(pool->drain(error));
  test::eventually([&] { return pool->size() == 0; });
  const Pool::Sent queued = test::send(*pool);
  ASSERT_EQ(queued.result, SendResult::Accepted);
  {
    NoThreads none;
    EXPECT_FALSE(pool->resume(error));
    EXPECT_EQ(error, kRefused);
    EXPECT_EQ(test::end_of(*queued.task), ReadResult::Failed) << "nobody will do it";
    EXPECT_EQ(queued.task->failure().message, kRefused);
  }
  expect_works(*pool);
}

TEST(NoThreads, Timers) {
  Timers timers;
  {
    NoThreads none;
    EXPECT_EQ(timers.start(), EAGAIN);
    EXPECT_EQ(timers.schedule(now(), [] { ADD_FAILURE(); }), 0u);
  }
  Gate ran;
  EXPECT_NE(timers.schedule(now(), [&] { ran.open(); }), 0u);
  ran.wait();
}

TEST(NoDescriptors, ATaskDoesWithoutAndGetsThemLater) {
  Gate release;
  FakeHost host([&](Script& script) {
    if (Ref<Task> task = script.receive()) {
      release.wait();
      EXPECT_EQ(task->update(test::payload_of("update"), nullptr), Task::UpdateResult::Sent);
      script.complete(std::move(task), "done");
    }
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  test::start_and_wait(*pool);
  const Pool::Sent sent = test::send(*pool);
  test::descriptors.arm(1, Refuse::FromThenOn);
  errno = 0;
  EXPECT_EQ(sent.task->sender_fd(), -1);
  EXPECT_EQ(errno, EMFILE);
  EXPECT_EQ(sent.task->worker_fd(), -1);
  release.open();
  Payload update;
  EXPECT_EQ(sent.task->read(update, kNever, nullptr), ReadResult::Update) << "reading needs none";
  EXPECT_EQ(sent.task->read(update, kNever, nullptr), ReadResult::Completed);
  EXPECT_EQ(test::descriptors.disarm(), 2);
  EXPECT_GE(sent.task->sender_fd(), 0);
}

TEST(NoDescriptors, AWorkerWaitsWithout) {
  std::atomic<bool> refused{false};
  FakeHost host([&](Script& script) {
    test::descriptors.arm(1, Refuse::Once);
    refused = script.slot.signal_fd(false) == -1 && errno == EMFILE;
    test::descriptors.disarm();
    return script.echo();
  });
  TestPool pool(options_of(1), host);
  test::start_and_wait(*pool);
  expect_works(*pool);
  EXPECT_TRUE(refused);
}

}  // namespace
}  // namespace igor
