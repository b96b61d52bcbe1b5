// One pool in another's place: what no worker had claimed moves over, in order and with everything that belongs
// to it, whoever comes to the old pool is passed on, and the numbers go on.
#include <gmock/gmock.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "module/pool.h"
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
using test::text_of;
using ReadResult = Task::ReadResult;
using SendResult = Pool::SendResult;

// Two hosts, so that one can see which pool a task ran in.
class PoolSuccession : public testing::Test {
 protected:
  ~PoolSuccession() override { drain(); }
  // Before the hosts of a test's own go.
  void drain() {
    for (const auto& pool : pools) {
      pool->begin_drain();
      pool->finish_drain();
    }
  }
  std::shared_ptr<Pool> make(PoolOptions options, WorkerHost& host, const std::shared_ptr<Pool>& before = nullptr) {
    pools.push_back(Pool::create(std::move(options), host, {}, before));
    return pools.back();
  }
  // A host whose script says hello with its first task and keeps it until the gate opens.
  RunOutcome hold_one(Script& script) {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    holding.open();
    release.wait();
    script.complete(std::move(task), "old");
    return script.echo();
  }
  // A worker of `pool` is busy with a task, which is returned.
  Ref<Task> occupy(Pool& pool) {
    auto sent = test::send(pool, "held");
    holding.wait();
    return sent.task;
  }

  Gate holding, release;
  FakeHost old_host{[this](Script& script) { return hold_one(script); }};
  std::mutex order_mutex;
  std::vector<std::string> order;  // of the payloads, as the new pool's workers got them
  FakeHost new_host{[this](Script& script) {
    while (Ref<Task> task = script.receive()) {
      {
        std::lock_guard lock(order_mutex);
        order.push_back(text_of(task->payload()));
      }
      script.complete(std::move(task), "new");
    }
    return test::clean_end();
  }};
  std::vector<std::shared_ptr<Pool>> pools;
};

TEST_F(PoolSuccession, WhatNobodyClaimedRunsInTheNewPoolInOrderAndWhatRunsEndsInTheOld) {
  PoolOptions options = options_of(1, 8);
  options.stop_grace = hours(1);
  const auto old = make(options, old_host);
  test::start_and_wait(*old);
  const Ref<Task> held = occupy(*old);
  std::vector<Ref<Task>> queued;
  for (const char* text : {"1", "2", "3", "4"}) queued.push_back(test::send(*old, text).task);
  const auto next = make(options, new_host, old);
  old->begin_drain(next);
  test::start_and_wait(*next);
  for (const auto& task : queued) {
    EXPECT_EQ(test::end_of(*task), ReadResult::Completed);
    EXPECT_EQ(text_of(task->result()), "new");
  }
  EXPECT_THAT(order, testing::ElementsAre("1", "2", "3", "4"));
  EXPECT_EQ(held->state(), TaskState::Running) << "its worker has its grace";
  release.open();
  EXPECT_EQ(test::end_of(*held), ReadResult::Completed);
  EXPECT_EQ(text_of(held->result()), "old");
  EXPECT_EQ(&old->counters(), &next->counters()) << "one ledger";
  EXPECT_EQ(old->counters().accepted, 5u);
  EXPECT_EQ(old->counters().completed, 5u);
  EXPECT_EQ(old->finish_drain(), 0u);
}

// Over two restarts: each report tells of what all that went before still hold.
TEST_F(PoolSuccession, AHandOverMovesWhatNobodyHasTakenAndLeavesTheRest) {
  const auto old = make(options_of(1, 8), old_host);
  test::start_and_wait(*old);
  const Ref<Task> held = occupy(*old);
  const Pool::Sent queued = test::send(*old, "queued");
  const auto next = make(options_of(1, 8), new_host, old);
  test::start_and_wait(*next);
  old->hand_over(next);
  EXPECT_EQ(test::end_of(*queued.task), ReadResult::Completed);
  EXPECT_EQ(text_of(queued.task->result()), "new") << "though its worker has not come to an end";
  const Pool::Sent late = test::send(*old, "late");
  EXPECT_EQ(test::end_of(*late.task), ReadResult::Completed);
  EXPECT_EQ(text_of(late.task->result()), "new");
  EXPECT_EQ(held->state(), TaskState::Running);
  EXPECT_FALSE(old->draining());
  EXPECT_EQ(held->update(payload_of("goes on"), nullptr), Task::UpdateResult::Sent);
  release.open();
  EXPECT_EQ(test::end_of(*held), ReadResult::Completed);
  EXPECT_EQ(text_of(held->result()), "old");
  std::string error;
  EXPECT_FALSE(old->restart(error));
  // Whoever drains it later need not know of the successor, nor gets another one in.
  old->begin_drain(make(options_of(1), old_host, next));
  EXPECT_EQ(old->finish_drain(), 0u);
  EXPECT_EQ(old->successor(), next);
  const Pool::Sent last = test::send(*old, "last");
  EXPECT_EQ(test::end_of(*last.task), ReadResult::Completed);
  EXPECT_EQ(text_of(last.task->result()), "new");
  drain();
}

TEST_F(PoolSuccession, WhatTheOldWorkersHoldIsReportedAndFoundInTheNewPool) {
  PoolOptions options = options_of(1, 8);
  options.stop_grace = hours(1);
  const auto old = make(options, old_host);
  test::start_and_wait(*old);
  const Ref<Task> held = occupy(*old);
  const auto between = make(options, new_host, old);
  old->begin_drain(between);
  test::start_and_wait(*between);
  const auto next = make(options, new_host, between);
  between->begin_drain(next);
  test::start_and_wait(*next);
  EXPECT_EQ(between->finish_drain(), 0u);

  const PoolReport report = next->report();
  EXPECT_EQ(report.state, PoolReport::State::Running);
  ASSERT_EQ(report.workers.size(), 2u) << "that of the pool in between has ended";
  EXPECT_FALSE(report.workers[0].old);
  EXPECT_NE(report.workers[0].state, WorkerReport::State::Stopping);
  EXPECT_TRUE(report.workers[1].old);
  EXPECT_EQ(report.workers[1].state, WorkerReport::State::Stopping);
  EXPECT_EQ(report.workers[1].tasks, 1u);
  ASSERT_EQ(report.tasks.size(), 1u);
  EXPECT_EQ(report.tasks[0].id, held->id());
  EXPECT_TRUE(report.tasks[0].running);
  EXPECT_TRUE(report.tasks[0].old);
  EXPECT_EQ(next->find_task(held->id()).get(), held.get());

  release.open();
  EXPECT_EQ(test::end_of(*held), ReadResult::Completed);
  EXPECT_EQ(old->finish_drain(), 0u);
  EXPECT_EQ(next->report().workers.size(), 1u);
  EXPECT_TRUE(next->report().tasks.empty());
  EXPECT_EQ(next->find_task(held->id()).get(), nullptr);
}

// A thread that nothing ends outlives everything else that held its pool.
TEST_F(PoolSuccession, ThreadsThatTheOldPoolLeftBehindAreReportedUntilTheyComeBack) {
  PoolOptions options = options_of(1, 8);
  options.stop_grace = milliseconds(1);
  FakeHost host([this](Script& script) {
    const Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    holding.open();
    release.wait();
    script.slot.release(*task);
    return test::clean_end();
  });
  auto old = Pool::create(options, host);
  test::start_and_wait(*old);
  Ref<Task> held = occupy(*old);
  const auto next = make(options, new_host, old);
  test::start_and_wait(*next);
  old->begin_drain(next);
  EXPECT_EQ(old->finish_drain(), 1u);
  EXPECT_EQ(held->state(), TaskState::Failed);
  held = nullptr;
  old = nullptr;
  const auto lost = [&] {
    const auto workers = next->report().workers;
    return std::count_if(workers.begin(), workers.end(),
                         [](const auto& one) { return one.old && one.state == WorkerReport::State::Lost; });
  };
  EXPECT_EQ(lost(), 1);
  EXPECT_TRUE(next->report().tasks.empty());
  release.open();
  test::eventually([&] { return lost() == 0 && host.leaves == 1; });
}

TEST_F(PoolSuccession, TheOlderTasksComeBeforeWhatTheNewPoolHasAlready) {
  PoolOptions options = options_of(1, 8);
  options.stop_grace = hours(1);
  const auto old = make(options, old_host);
  test::start_and_wait(*old);
  const Ref<Task> held = occupy(*old);
  const auto next = make(options_of(1, 8), new_host, old);
  std::string error;
  ASSERT_TRUE(next->pause(error));
  std::vector<Ref<Task>> tasks;
  tasks.push_back(test::send(*next, "new 1").task);
  tasks.push_back(test::send(*old, "old 1").task);
  tasks.push_back(test::send(*old, "old 2").task);
  tasks.push_back(test::send(*next, "new 2").task);
  old->begin_drain(next);
  ASSERT_TRUE(next->resume(error));
  for (const auto& task : tasks) EXPECT_EQ(test::end_of(*task), ReadResult::Completed);
  EXPECT_THAT(order, testing::ElementsAre("old 1", "old 2", "new 1", "new 2"));
  release.open();
}

TEST_F(PoolSuccession, ASenderThatWaitsForAPlaceGetsItInTheNewPool) {
  PoolOptions options = options_of(1, 0);  // no queue: senders wait for a worker
  options.stop_grace = hours(1);
  const auto old = make(options, old_host);
  test::start_and_wait(*old);
  const Ref<Task> held = occupy(*old);
  std::vector<std::thread> senders;
  for (int i = 0; i < 3; ++i) {
    senders.emplace_back([&] {
      const auto sent = test::send(*old, "waited");
      ASSERT_TRUE(sent.task);
      EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
      EXPECT_EQ(text_of(sent.task->result()), "new");
    });
  }
  test::eventually([&] { return old->stats().blocked_senders == 3; });
  const auto next = make(options, new_host, old);
  old->begin_drain(next);
  EXPECT_EQ(old->stats().blocked_senders, 0u);
  for (auto& sender : senders) sender.join();  // the first that moved started a thread of the new pool
  EXPECT_EQ(next->counters().refused, 0u);
  release.open();
}

TEST_F(PoolSuccession, AWaitingSenderKeepsItsOwnDeadlineAndInterruptAfterTheMove) {
  PoolOptions options = options_of(1, 0);
  options.stop_grace = hours(1);
  const auto old = make(options, old_host);
  test::start_and_wait(*old);
  const Ref<Task> held = occupy(*old);
  const auto next = make(options, new_host, old);
  std::string error;
  ASSERT_TRUE(next->pause(error));
  Interrupt interrupt;
  Pool::Sent interrupted, late;
  std::thread one([&] { interrupted = old->send(payload_of("1"), kNever, &interrupt); });
  std::thread other([&] { late = old->send(payload_of("2"), after(now(), milliseconds(30)), nullptr); });
  test::eventually([&] { return old->stats().blocked_senders == 2 || late.result == SendResult::TimedOut; });
  old->begin_drain(next);
  other.join();
  EXPECT_EQ(late.result, SendResult::TimedOut);
  test::eventually([&] { return next->stats().blocked_senders == 1; });
  interrupt.raise();
  one.join();
  EXPECT_EQ(interrupted.result, SendResult::Interrupted);
  EXPECT_EQ(next->stats().blocked_senders, 0u) << "neither left anything behind";
  ASSERT_TRUE(next->resume(error));
  EXPECT_EQ(test::end_of(*test::send(*next, "3").task), ReadResult::Completed);
  EXPECT_THAT(order, testing::ElementsAre("3"));
  release.open();
}

TEST_F(PoolSuccession, WhoStillComesToTheOldPoolIsPassedOnAlongTheWholeChain) {
  const auto first = make(options_of(0, 4), old_host);
  const auto second = make(options_of(0, 4), old_host, first);
  const auto third = make(options_of(0, 4), new_host, second);
  first->begin_drain(second);
  second->begin_drain(third);
  const auto sent = test::send(*first, "late");
  ASSERT_TRUE(sent.task);
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
  EXPECT_EQ(text_of(sent.task->result()), "new");
  EXPECT_EQ(old_host.enters, 0) << "nothing was started for it elsewhere";
  EXPECT_EQ(first->successor(), second);
  third->begin_drain();
  EXPECT_EQ(test::send(*first).result, SendResult::ShuttingDown);
}

TEST_F(PoolSuccession, TasksPassThroughAPoolThatHasBeenSucceededItself) {
  PoolOptions options = options_of(1, 4);
  options.stop_grace = hours(1);
  const auto first = make(options, old_host);
  test::start_and_wait(*first);
  const Ref<Task> held = occupy(*first);
  const Ref<Task> queued = test::send(*first, "queued").task;
  const auto second = make(options_of(0, 4), old_host, first);
  const auto third = make(options_of(0, 4), new_host, second);
  second->begin_drain(third);
  first->begin_drain(second);
  EXPECT_EQ(test::end_of(*queued), ReadResult::Completed);
  EXPECT_EQ(text_of(queued->result()), "new");
  release.open();
}

TEST_F(PoolSuccession, WithoutAnyoneAtTheEndOfTheChainTheyFail) {
  PoolOptions options = options_of(1, 1);
  options.stop_grace = hours(1);
  const auto first = make(options, old_host);
  test::start_and_wait(*first);
  const Ref<Task> held = occupy(*first);
  const Ref<Task> queued = test::send(*first, "queued").task;
  std::thread waiting([&] { EXPECT_EQ(test::send(*first).result, SendResult::ShuttingDown); });
  test::eventually([&] { return first->stats().blocked_senders == 1; });
  const auto second = make(options_of(0, 4), new_host, first);
  second->begin_drain();
  first->begin_drain(second);
  waiting.join();
  EXPECT_EQ(test::end_of(*queued), ReadResult::Failed);
  EXPECT_EQ(queued->failure().reason, Reason::Shutdown);
  release.open();
}

TEST_F(PoolSuccession, ATaskThatMovedCanBeCancelledAndItsDeadlineHolds) {
  PoolOptions options = options_of(1, 8);
  options.stop_grace = hours(1);
  const auto old = make(options, old_host);
  test::start_and_wait(*old);
  const Ref<Task> held = occupy(*old);
  const auto next = make(options_of(1, 8), new_host, old);
  std::string error;
  ASSERT_TRUE(next->pause(error));
  const Ref<Task> cancelled = test::send(*old, "cancelled").task;
  const Ref<Task> dead = old->send(payload_of("dead"), kNever, nullptr, milliseconds(20)).task;
  const Ref<Task> stays = test::send(*old, "stays").task;
  old->begin_drain(next);
  test::eventually([&] { return dead->ended(); });
  EXPECT_EQ(dead->state(), TaskState::TimedOut);
  cancelled->cancel();
  EXPECT_EQ(next->stats().queued, 1u) << "both have left the new pool's queue";
  ASSERT_TRUE(next->resume(error));
  EXPECT_EQ(test::end_of(*stays), ReadResult::Completed);
  EXPECT_THAT(order, testing::ElementsAre("stays"));
  EXPECT_EQ(next->counters().cancelled, 1u);
  EXPECT_EQ(next->counters().timed_out, 1u);
  release.open();
}

// An offer is not a hand-over: what a worker was offered and did not claim moves too.
TEST_F(PoolSuccession, WhatWasOfferedMovesToo) {
  Gate offered;
  FakeHost host([&](Script& script) {
    while (script.slot.poll_signal() == WorkerSlot::Signal::None) std::this_thread::yield();
    offered.open();
    release.wait();
    EXPECT_EQ(script.slot.poll_signal(), WorkerSlot::Signal::Stop);
    EXPECT_FALSE(script.slot.claim());
    return test::clean_end();
  });
  PoolOptions options = options_of(1, 8);
  options.stop_grace = hours(1);
  const auto old = make(options, host);
  test::start_and_wait(*old);
  const Ref<Task> first = test::send(*old, "offered").task;
  offered.wait();
  const Ref<Task> second = test::send(*old, "queued").task;
  const auto next = make(options_of(1, 8), new_host, old);
  old->begin_drain(next);
  test::start_and_wait(*next);
  for (const auto& task : {first, second}) EXPECT_EQ(test::end_of(*task), ReadResult::Completed);
  EXPECT_THAT(order, testing::ElementsAre("offered", "queued"));
  release.open();
  drain();
}

TEST_F(PoolSuccession, SendersAndDrainersAtOnceLoseNothing) {
  FakeHost host;
  std::mutex mutex;
  std::shared_ptr<Pool> current = make(options_of(1, 2), host);
  std::atomic<bool> over{false};
  std::vector<std::thread> senders;
  std::atomic<uint64_t> completed{0};
  for (int i = 0; i < 3; ++i) {
    senders.emplace_back([&, i] {
      std::shared_ptr<Pool> pool;
      for (int n = 0; n < 200; ++n) {
        if (n % 7 == 0) {  // or an old one that was looked up before
          std::lock_guard lock(mutex);
          pool = current;
        }
        const auto sent = test::send(*pool, std::to_string(i));
        ASSERT_EQ(sent.result, SendResult::Accepted);
        if (n % 11 == 0) {
          sent.task->cancel();
          continue;
        }
        // A run that is told to stop does not claim, so nothing that was sent can be lost.
        EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
        ++completed;
      }
    });
  }
  std::thread reloader([&] {
    while (!over) {
      const auto next = make(options_of(1, 2), host, current);
      std::string error;
      EXPECT_TRUE(next->start(error)) << error;
      std::shared_ptr<Pool> old;
      {
        std::lock_guard lock(mutex);
        old = std::exchange(current, next);
      }
      old->begin_drain(next);
      EXPECT_EQ(old->finish_drain(), 0u);
    }
  });
  for (auto& sender : senders) sender.join();
  over = true;
  reloader.join();
  EXPECT_EQ(current->counters().refused, 0u);
  EXPECT_EQ(current->counters().accepted, 600u);
  EXPECT_EQ(current->counters().ended(), 600u);
  EXPECT_GE(current->counters().completed, completed);
  drain();
}

// --- snapshots ---------------------------------------------------------------------------------------

TEST_F(PoolSuccession, TheLastSnapshotStaysAndTheNewOnesFirstComesWithItsCharge) {
  Gate ready;
  FakeHost publisher([&](Script& script) {
    script.slot.pool().publish(script.slot, payload_of("new"));
    ready.open();
    return script.echo();
  });
  FakeHost before([&](Script& script) {
    script.slot.pool().publish(script.slot, payload_of("old"));
    return script.echo();
  });
  const auto old = make(options_of(1), before);
  test::start_and_wait(*old);
  const auto next = make(options_of(1), publisher, old);
  test::start_and_wait(*next);
  ready.wait();
  EXPECT_EQ(text_of(next->look(kNever, nullptr).snapshot->payload()), "old") << "not in charge yet";
  EXPECT_EQ(next->snapshots().version(), 1u);
  old->begin_drain(next);
  EXPECT_EQ(text_of(old->look(kNever, nullptr).snapshot->payload()), "new");
  EXPECT_EQ(old->snapshots().version(), 2u) << "versions go on";
  drain();
}

TEST_F(PoolSuccession, SnapshotsAreTheNewPoolsFromTheHandOverOn) {
  Gate again, done;
  FakeHost before([&](Script& script) {
    script.slot.pool().publish(script.slot, payload_of("old"));
    again.wait();
    script.slot.pool().publish(script.slot, payload_of("old again"));
    done.open();
    return script.echo();
  });
  FakeHost publisher([&](Script& script) {
    script.slot.pool().publish(script.slot, payload_of("new"));
    return script.echo();
  });
  const auto old = make(options_of(1), before);
  test::start_and_wait(*old);
  const auto next = make(options_of(1), publisher, old);
  test::start_and_wait(*next);
  old->hand_over(next);
  test::eventually([&] { return text_of(old->look(kNever, nullptr).snapshot->payload()) == "new"; });
  again.open();
  done.wait();
  EXPECT_EQ(text_of(next->look(kNever, nullptr).snapshot->payload()), "new");
  drain();
}

TEST_F(PoolSuccession, ALookThatWaitsGoesOnWaitingAtTheNewPool) {
  FakeHost silent;
  Gate publish;
  FakeHost publisher([&](Script& script) {
    publish.wait();
    script.slot.pool().publish(script.slot, payload_of("there"));
    return script.echo();
  });
  const auto old = make(options_of(1), silent);
  test::start_and_wait(*old);
  Pool::Look found;
  std::thread looker([&] { found = old->look(kNever, nullptr); });
  const auto next = make(options_of(0), publisher, old);
  old->begin_drain(next);
  publish.open();
  looker.join();  // it started the new pool's thread
  ASSERT_EQ(found.result, SendResult::Accepted);
  EXPECT_EQ(text_of(found.snapshot->payload()), "there");
  drain();
}

TEST_F(PoolSuccession, WhatTheOldPoolPublishesAfterwardsIsDropped) {
  Gate told, go;
  FakeHost before([&](Script& script) {
    script.slot.pool().publish(script.slot, payload_of("old"));
    while (script.slot.wait_signal(kNever, nullptr) != WorkerSlot::Signal::Stop) {
    }
    told.open();
    go.wait();
    script.slot.pool().publish(script.slot, payload_of("too late"));
    return test::clean_end();
  });
  PoolOptions options = options_of(1);
  options.stop_grace = hours(1);
  const auto old = make(options, before);
  test::start_and_wait(*old);
  const auto next = make(options_of(1), new_host, old);
  old->begin_drain(next);
  told.wait();
  go.open();
  old->finish_drain();
  EXPECT_EQ(text_of(next->look(kNever, nullptr).snapshot->payload()), "old");
  drain();
}

TEST_F(PoolSuccession, HostDataIsThePredecessors) {
  PoolOptions options = options_of(0);
  options.host_data = std::make_shared<int>(1);
  const auto old = make(options, old_host);
  options.host_data = std::make_shared<int>(2);
  const auto next = make(options, new_host, old);
  EXPECT_EQ(next->options().host_data, old->options().host_data);
}

TEST_F(PoolSuccession, ABrokenSuccessorTellsThoseWhoWaitAndKeepsWhatWasAccepted) {
  std::atomic<bool> broken{true};
  FakeHost breaks([&](Script& script) { return broken ? test::crash() : script.echo(); });
  PoolOptions options = options_of(1, 1);
  options.stop_grace = hours(1);
  const auto old = make(options, old_host);
  test::start_and_wait(*old);
  const Ref<Task> held = occupy(*old);
  PoolOptions fragile = options_of(1, 1);
  fragile.supervision.max_consecutive_failures = 1;
  const auto next = make(fragile, breaks, old);
  std::string error;
  ASSERT_TRUE(next->start(error));
  test::eventually([&] { return next->stats().breaker_open; });
  const Ref<Task> queued = test::send(*old, "queued").task;
  std::thread waiting([&] { EXPECT_EQ(test::send(*old).result, SendResult::BreakerOpen); });
  test::eventually([&] { return old->stats().blocked_senders == 1; });
  old->begin_drain(next);
  // A trial run may be under way just then: in that case the sender waits for how it ends.
  waiting.join();
  broken = false;
  EXPECT_EQ(test::end_of(*queued), ReadResult::Completed) << "by the first run that the breaker lets through";
  release.open();
  drain();
}

}  // namespace
}  // namespace igor
