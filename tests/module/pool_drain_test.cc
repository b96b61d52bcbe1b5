// The end of a pool: every sender gets an answer, every thread ends or is given up, within its bounds.
#include <thread>
#include <vector>

#include "module/pool.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FakeHost;
using test::Gate;
using test::options_of;
using test::payload_of;
using test::Script;
using test::TestPool;
using test::text_of;
using ReadResult = Task::ReadResult;
using SendResult = Pool::SendResult;

void expect_shutdown(Task& task) {
  EXPECT_EQ(test::end_of(task), ReadResult::Failed);
  EXPECT_EQ(task.failure().reason, Reason::Shutdown);
}

TEST(PoolDrain, AnUnusedPoolDrainsAtOnceAndRefusesFromThenOn) {
  FakeHost host;
  TestPool pool(options_of(2), host);
  EXPECT_EQ(pool.drain(), 0u);
  EXPECT_EQ(test::send(*pool).result, SendResult::ShuttingDown);
  std::string error;
  EXPECT_TRUE(pool->start(error)) << "nothing is started any more";
  EXPECT_TRUE(pool->ensure_started(error));
  EXPECT_EQ(pool->stats().threads, 0u);
  EXPECT_EQ(pool.drain(), 0u) << "twice";
}

TEST(PoolDrain, WaitingWorkersAreToldToStop) {
  FakeHost host;
  TestPool pool(options_of(3), host);
  test::start_and_wait(*pool);
  EXPECT_EQ(pool.drain(), 0u);
  EXPECT_EQ(host.interruptions, 0);
  EXPECT_EQ(host.leaves, 3);
  EXPECT_EQ(pool->stats().threads, 0u);
}

TEST(PoolDrain, ARunningTaskMayFinishWithinTheGracePeriod) {
  Gate holding, release;
  FakeHost host([&](Script& script) {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    holding.open();
    release.wait();
    EXPECT_EQ(script.slot.poll_signal(), WorkerSlot::Signal::Stop);
    EXPECT_FALSE(script.slot.claim()) << "no new tasks";
    EXPECT_EQ(task->update(payload_of("last"), nullptr), Task::UpdateResult::Sent) << "there is room";
    script.complete(std::move(task), "finished");
    return test::clean_end();
  });
  PoolOptions options = options_of(1);
  options.stop_grace = std::chrono::hours(1);
  TestPool pool(options, host);
  const Pool::Sent sent = test::send(*pool);
  holding.wait();
  pool->begin_drain();
  EXPECT_FALSE(sent.task->ended());
  release.open();
  EXPECT_EQ(pool->finish_drain(), 0u);
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
  EXPECT_EQ(host.interruptions, 0);
}

TEST(PoolDrain, ATaskThatIsHalfReadIsAnswered) {
  Gate holding;
  FakeHost host([&](Script& script) {
    const Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    EXPECT_EQ(task->update(payload_of("half"), nullptr), Task::UpdateResult::Sent);
    holding.open();
    // Waits for its stop and ends without having ended its task.
    EXPECT_FALSE(script.receive());
    EXPECT_EQ(script.last, WorkerSlot::Signal::Stop);
    return test::clean_end();
  });
  TestPool pool(options_of(1), host);
  const Pool::Sent running = test::send(*pool);
  holding.wait();
  Payload update;
  EXPECT_EQ(running.task->read(update, kNever, nullptr), ReadResult::Update);
  pool->begin_drain();
  EXPECT_EQ(test::send(*pool).result, SendResult::ShuttingDown);
  EXPECT_EQ(pool->finish_drain(), 0u);
  expect_shutdown(*running.task);
  EXPECT_EQ(pool->counters().accepted, pool->counters().ended());
}

TEST(PoolDrain, QueuedOfferedAndWaitingTasksAreAnswered) {
  Gate holding, release;
  FakeHost host([&](Script& script) {
    const Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    holding.open();
    release.wait();
    return test::clean_end();
  });
  TestPool pool(options_of(1, 2), host);
  const Pool::Sent running = test::send(*pool, "running");
  holding.wait();
  const Pool::Sent one = test::send(*pool, "one"), two = test::send(*pool, "two");
  std::vector<std::thread> senders;
  for (int i = 0; i < 2; ++i) {
    senders.emplace_back([&] {
      const Pool::Sent sent = test::send(*pool, "waiting");
      EXPECT_EQ(sent.result, SendResult::ShuttingDown);
      EXPECT_FALSE(sent.task);
    });
  }
  test::eventually([&] { return pool->stats().blocked_senders == 2; });
  pool->begin_drain();
  for (std::thread& sender : senders) sender.join();
  expect_shutdown(*one.task);
  expect_shutdown(*two.task);
  EXPECT_FALSE(running.task->ended()) << "it has its grace";
  release.open();
  EXPECT_EQ(pool->finish_drain(), 0u);
  expect_shutdown(*running.task);
  EXPECT_EQ(pool->counters().accepted, 3u);
  EXPECT_EQ(pool->counters().refused, 2u);
  EXPECT_EQ(pool->counters().failed[static_cast<size_t>(Reason::Shutdown)], 3u);
}

TEST(PoolDrain, AnOfferThatWasNotClaimedIsAnsweredAndNotClaimable) {
  Gate asked, drained;
  FakeHost host([&](Script& script) {
    while (script.slot.poll_signal() != WorkerSlot::Signal::Task) std::this_thread::yield();
    asked.open();
    drained.wait();
    EXPECT_FALSE(script.slot.claim());
    EXPECT_EQ(script.slot.poll_signal(), WorkerSlot::Signal::Stop);
    return test::clean_end();
  });
  TestPool pool(options_of(1), host);
  const Pool::Sent offered = test::send(*pool);
  asked.wait();
  EXPECT_EQ(pool->stats().queued, 1u);
  pool->begin_drain();
  expect_shutdown(*offered.task);
  drained.open();
  EXPECT_EQ(pool->finish_drain(), 0u);
}

TEST(PoolDrain, TheGraceOverTheScriptIsInterruptedInsideItsWait) {
  Gate holding;
  FakeHost host([&](Script& script) {
    const Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    EXPECT_EQ(task->update(payload_of("1"), nullptr), Task::UpdateResult::Sent);
    holding.open();
    // Reads a task of its own, which never ends: only the interrupt ends that.
    const auto never = Ref<Task>::adopt(new Task(Pool::create(options_of(0), host), Payload(), 0));
    Payload update;
    EXPECT_EQ(never->read(update, kNever, &script.interrupt), ReadResult::Interrupted);
    return test::crash(Reason::Shutdown, "interrupted");
  });
  PoolOptions options = options_of(1);
  options.stop_grace = milliseconds(5);
  TestPool pool(options, host);
  const Pool::Sent sent = test::send(*pool);
  holding.wait();
  EXPECT_EQ(pool.drain(), 0u);
  EXPECT_GE(host.interruptions, 1);
  expect_shutdown(*sent.task);
}

TEST(PoolDrain, AScriptThatIgnoresItsFirstInterruptsIsInterruptedAgain) {
  Gate ready;
  FakeHost* self;
  FakeHost host([&](Script& script) {
    script.slot.poll_signal();
    ready.open();
    test::eventually([&] { return self->interruptions >= 3; });
    return test::clean_end();
  });
  self = &host;
  PoolOptions options = options_of(1);
  options.stop_grace = Duration::zero();
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  ready.wait();
  EXPECT_EQ(pool.drain(), 0u);
}

TEST(PoolDrain, AThreadThatCannotBeEndedIsLeftBehindAndItsTaskLost) {
  // Twice: while it is away, and with everything let go of before it comes back.
  auto holding = std::make_shared<Gate>(), release = std::make_shared<Gate>(), gone = std::make_shared<Gate>();
  FakeHost host([=](Script& script) {
    const Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    holding->open();
    release->wait();
    EXPECT_TRUE(task->ended());
    EXPECT_FALSE(task->complete(payload_of("too late")));
    script.slot.release(*task);
    EXPECT_FALSE(script.slot.claim());
    return test::clean_end();
  });
  PoolOptions options = options_of(1);
  options.stop_grace = milliseconds(1);
  auto pool = Pool::create(options, host);
  Pool::Sent sent = test::send(*pool);
  holding->wait();
  pool->begin_drain();
  EXPECT_EQ(pool->finish_drain(), 1u);
  EXPECT_EQ(pool->stats().lost, 1u);
  EXPECT_EQ(pool->finish_drain(), 1u) << "still";
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Failed);
  EXPECT_EQ(sent.task->failure().reason, Reason::WorkerLost);
  EXPECT_EQ(pool->counters().failed[static_cast<size_t>(Reason::WorkerLost)], 1u);

  // The lost thread holds the pool; it comes back to something that is still there.
  const std::weak_ptr<Pool> watched = pool;
  sent = {};
  pool = nullptr;
  EXPECT_FALSE(watched.expired());
  release->open();
  test::eventually([&] { return watched.expired() && host.leaves == 1; });
}

TEST(PoolDrain, ManyStuckPoolsEndSideBySide) {
  // One after the other they would take the forced second each.
  constexpr int kPools = 6;
  Gate release;
  std::atomic<int> ready{0};
  FakeHost host([&](Script& script) {
    script.slot.poll_signal();
    ++ready;
    release.wait();
    return test::clean_end();
  });
  std::vector<std::shared_ptr<Pool>> pools;
  for (int i = 0; i < kPools; ++i) {
    PoolOptions options = options_of(1);
    options.stop_grace = milliseconds(10 * i);
    pools.push_back(Pool::create(options, host));
    std::string error;
    ASSERT_TRUE(pools.back()->start(error));
  }
  test::eventually([&] { return ready == kPools; });
  for (const auto& pool : pools) pool->begin_drain();
  const TimePoint began = now();
  EXPECT_EQ(Pool::finish_drain(pools), static_cast<size_t>(kPools));
  EXPECT_LT(now() - began, (kPools - 1) * Pool::kForceTime);
  EXPECT_GE(host.interruptions, kPools) << "each was interrupted before it was given up";
  std::vector<std::weak_ptr<Pool>> watched(pools.begin(), pools.end());
  pools.clear();
  release.open();
  for (const auto& pool : watched) test::eventually([&] { return pool.expired(); });
  test::eventually([&] { return host.leaves == kPools; });
}

TEST(PoolDrain, AWorkerInItsRestartDelayEndsAtOnce) {
  FakeHost host([](Script&) { return test::crash(); });
  PoolOptions options = options_of(2);
  options.supervision = {std::chrono::hours(1), std::chrono::hours(1), 1};
  options.stop_grace = std::chrono::hours(1);
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  test::eventually([&] { return pool->stats().restarting == 2; });
  EXPECT_EQ(pool.drain(), 0u);
  EXPECT_EQ(host.interruptions, 0);
}

TEST(PoolDrain, DrainAgainstStartAndSend) {
  for (int round = 0; round < 200; ++round) {
    FakeHost host;
    TestPool pool(options_of(2, round % 3), host);
    Gate go;
    std::thread starter([&] {
      go.wait();
      std::string error;
      EXPECT_TRUE(pool->start(error)) << error;
    });
    std::thread sender([&] {
      go.wait();
      const Pool::Sent sent = test::send(*pool);
      if (!sent.task) {
        EXPECT_EQ(sent.result, SendResult::ShuttingDown);
      } else if (test::end_of(*sent.task) == ReadResult::Failed) {
        EXPECT_EQ(sent.task->failure().reason, Reason::Shutdown);
      }
    });
    go.open();
    EXPECT_EQ(pool.drain(), 0u);
    starter.join();
    sender.join();
    EXPECT_EQ(pool->counters().accepted, pool->counters().ended());
  }
}

}  // namespace
}  // namespace igor
