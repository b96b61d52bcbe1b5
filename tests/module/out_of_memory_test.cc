// Running out of memory: each scenario runs with its first allocation refused, then with its second, until one run
// needs no more; and once more with everything refused from there on. Each time it must come to its end, by
// std::bad_alloc or a result that says so, leak nothing, and work afterwards.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "module/generation.h"
#include "module/handle_table.h"
#include "module/log.h"
#include "module/pool.h"
#include "module/scope.h"
#include "module/snapshot.h"
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
using ReadResult = Task::ReadResult;
using SendResult = Pool::SendResult;

// Too long to lie inside of a std::string.
constexpr const char* kText = "a text that does not fit into a string itself";

// As the codec does it, which knows what to say then.
Payload payload(std::string_view text = kText) {
  Payload made = Payload::copy_of(text);
  if (made.empty()) throw std::bad_alloc();
  return made;
}

// Answers with the payload itself, so that a script needs no memory of its own.
RunOutcome echo(Script& script) {
  while (Ref<Task> task = script.receive()) {
    Payload payload = std::move(task->payload());
    task->complete(std::move(payload));
    script.slot.release(*task);
  }
  return {true, Failure(Reason::Exited, {})};
}

// Records wait for a reader; nobody else reads here.
void empty_the_log() {
  LogRecord record;
  uint64_t dropped;
  while (LogQueue::global().next(0, record, dropped) == LogQueue::Next::Record) record = {};
}

PoolOptions options(uint32_t num, uint32_t queue = 0) {
  PoolOptions made = options_of(num, queue);
  made.supervision.backoff_max = milliseconds(5);
  made.stop_grace = {};
  return made;
}

// Whether so much is alive and no more. A timer may still hold a pool for a few milliseconds; what is alive for longer
// is there to stay.
bool settles_at(int64_t allocations) {
  const TimePoint patience = after(now(), std::chrono::seconds(5));
  while (test::living_allocations > allocations && now() < patience) std::this_thread::yield();
  return test::living_allocations <= allocations;
}

void expect_consistent(const Pool& pool) {
  EXPECT_EQ(pool.counters().accepted, pool.counters().ended()) << "each task that was accepted ends once";
}

void expect_works(Pool& pool) {
  // A breaker that opened meanwhile lets the next one through after a while.
  Pool::Sent sent;
  test::eventually([&] { return (sent = pool.send(payload(), kNever, nullptr)).result == SendResult::Accepted; });
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
  EXPECT_EQ(test::text_of(sent.task->result()), kText);
}

// Every allocation of the scenario refused in turn. `prepare` makes what it works on, `check` looks at that
// afterwards; both have all the memory they want, and so has the end of it.
template <typename World>
void refuse_each(const std::function<void(World&)>& scenario, const std::function<void(World&)>& check = {}) {
  const auto run = [&](int64_t nth, Refuse how) {
    int64_t refused = 0;
    {
      World world;
      test::memory.arm(nth, how);
      try {
        scenario(world);
      } catch (const std::bad_alloc&) {
      }
      refused = test::memory.disarm();
      if (check) check(world);
    }
    empty_the_log();
    return refused;
  };
  const auto until_none_is_refused = [&](Refuse how) {
    // What is made once for the process, and tables that have grown.
    run(1'000'000, how);
    run(1'000'000, how);
    int64_t nth = 1;
    for (;; ++nth) {
      const int64_t before = test::living_allocations;
      const int64_t refused = run(nth, how);
      if (!settles_at(before)) {
        // Something that is made once for the process, when a thread first gets there. A leak leaks again.
        const int64_t since = test::living_allocations;
        run(nth, how);
        EXPECT_TRUE(settles_at(since)) << "leaked when allocation " << nth
                                       << " was refused: " << test::living_allocations - since << " more than before";
      }
      if (refused == 0 || testing::Test::HasFailure()) return nth - 1;
    }
  };
  const int64_t allocations = until_none_is_refused(Refuse::Once);
  until_none_is_refused(Refuse::FromThenOn);
  testing::Test::RecordProperty("allocations", static_cast<int>(allocations));
  EXPECT_GT(allocations, 0) << "nothing was tested";
}

// Must work without any memory, from its beginning to its end.
template <typename World>
void refuse_all(const std::function<void(World&)>& scenario, const std::function<void(World&)>& check = {}) {
  for (int round = 0; round < 3; ++round) {
    const int64_t before = test::living_allocations;
    {
      World world;
      test::memory.arm(1, Refuse::FromThenOn);
      EXPECT_NO_THROW(scenario(world));
      test::memory.disarm();
      if (check) check(world);
    }
    empty_the_log();
    if (round == 2) {
      EXPECT_TRUE(settles_at(before)) << "leaked";
    }
  }
}

// --- worlds ------------------------------------------------------------------------------------------

struct Running {
  explicit Running(PoolOptions of = options(1)) : pool(Pool::create(std::move(of), host)) {
    test::start_and_wait(*pool);
  }
  ~Running() {
    pool->begin_drain();
    pool->finish_drain();
    expect_consistent(*pool);
  }
  FakeHost host{echo};
  std::shared_ptr<Pool> pool;
};

// Tasks stay in the queue.
struct Paused : Running {
  Paused() : Running(options(1, 8)) {
    std::string error;
    EXPECT_TRUE(pool->pause(error));
  }
};

// A worker that holds each task until the gate opens.
struct Holding {
  Holding() : Holding(options(1, 8)) {}
  explicit Holding(PoolOptions of) : pool(Pool::create(std::move(of), host)) { test::start_and_wait(*pool); }
  ~Holding() {
    release.open();
    pool->begin_drain();
    pool->finish_drain();
    expect_consistent(*pool);
  }
  Gate release;
  FakeHost host{[this](Script& script) {
    if (Ref<Task> task = script.receive()) {
      release.wait();
      Payload payload = std::move(task->payload());
      task->complete(std::move(payload));
      script.slot.release(*task);
    }
    return echo(script);
  }};
  std::shared_ptr<Pool> pool;
};

// --- tasks -------------------------------------------------------------------------------------------

TEST(OutOfMemory, ATaskIsRefusedOrDone) {
  refuse_each<Running>(
      [](Running& world) {
        const Pool::Sent sent = world.pool->send(payload(), kNever, nullptr);
        ASSERT_EQ(sent.result, SendResult::Accepted);
        EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
        EXPECT_EQ(sent.task->result().size(), std::strlen(kText));
      },
      [](Running& world) { expect_works(*world.pool); });
}

TEST(OutOfMemory, ATaskWithADeadlineAndALargeFifo) {
  struct World : Running {
    static PoolOptions with_deadline() {
      PoolOptions made = options(1);
      made.task_timeout = hours(1);
      made.updates = 1000;
      return made;
    }
    World() : Running(with_deadline()) {}
  };
  refuse_each<World>(
      [](World& world) {
        const Pool::Sent sent = world.pool->send(payload(), kNever, nullptr);
        ASSERT_EQ(sent.result, SendResult::Accepted);
        EXPECT_EQ(test::end_of(*sent.task), ReadResult::Completed);
      },
      [](World& world) { expect_works(*world.pool); });
}

TEST(OutOfMemory, ALazyPoolStartsOrSaysWhyNot) {
  struct World {
    FakeHost host{echo};
    std::shared_ptr<Pool> pool = Pool::create(options(0), host);
    ~World() {
      pool->begin_drain();
      pool->finish_drain();
      expect_consistent(*pool);
    }
  };
  refuse_each<World>(
      [](World& world) {
        const Pool::Sent sent = world.pool->send(payload(), kNever, nullptr);
        if (sent.result == SendResult::Accepted) {
          const ReadResult end = test::end_of(*sent.task);
          EXPECT_TRUE(end == ReadResult::Completed || end == ReadResult::Failed);
        } else if (sent.result == SendResult::NoThread) {
          EXPECT_FALSE(sent.detail.empty());
        } else {  // the host needed memory to make the thread fit for scripts
          EXPECT_TRUE(sent.result == SendResult::BreakerOpen || sent.result == SendResult::WorkerFailed);
        }
      },
      [](World& world) { expect_works(*world.pool); });
}

TEST(OutOfMemory, GrowthGoesWithout) {
  struct World : Holding {
    static PoolOptions two() {
      PoolOptions made = options(1, 8);
      made.max_threads = 2;
      return made;
    }
    World() : Holding(two()) {}
  };
  refuse_each<World>(
      [](World& world) {
        Pool::Sent sent[3];
        for (Pool::Sent& one : sent) {
          one = world.pool->send(payload(), kNever, nullptr);
          EXPECT_EQ(one.result, SendResult::Accepted);
        }
        world.release.open();
        for (Pool::Sent& one : sent) EXPECT_TRUE(test::end_of(*one.task) <= ReadResult::Failed);
      },
      [](World& world) {
        world.release.open();
        expect_works(*world.pool);
      });
}

TEST(OutOfMemory, EveryEndNeedsNone) {
  struct World : Holding {
    World() {
      for (int i = 0; i < 5; ++i) {
        // What times out in here is not called by a timer, which would then stay.
        sent[i] = pool->send(payload(), kNever, nullptr, i == 1 ? Duration{} : hours(1));
      }
      test::eventually([this] { return sent[0].task->state() == TaskState::Running; });
    }
    Pool::Sent sent[5];
  };
  refuse_all<World>(
      [](World& world) {
        world.sent[0].task->cancel("an operator wants it to end, and says so at length");
        world.sent[1].task->time_out();
        world.sent[2].task->cancel();
        world.sent[3].task->fail(Failure(Reason::Abandoned, {kText, kText}));
      },
      [](World& world) {
        EXPECT_EQ(world.sent[0].task->state(), TaskState::Cancelled);
        EXPECT_EQ(world.sent[1].task->state(), TaskState::TimedOut);
        EXPECT_EQ(world.sent[2].task->state(), TaskState::Cancelled);
        EXPECT_EQ(world.sent[3].task->state(), TaskState::Failed);
        EXPECT_EQ(world.sent[3].task->failure().reason, Reason::Abandoned);
        world.release.open();
        EXPECT_EQ(test::end_of(*world.sent[4].task), ReadResult::Completed) << "it was queued behind them";
      });
}

TEST(OutOfMemory, UpdatesNeedNoneButTheirOwn) {
  refuse_all<Holding>([](Holding& world) {
    // Both sides of a task that was made while there was memory.
    static Payload update;
    Pool::Sent sent;
    test::memory.disarm();
    sent = world.pool->send(payload(), kNever, nullptr);
    update = payload();
    test::eventually([&] { return sent.task->state() == TaskState::Running; });
    test::memory.arm(1, Refuse::FromThenOn);
    EXPECT_EQ(sent.task->update(std::move(update), nullptr), Task::UpdateResult::Sent);
    EXPECT_EQ(sent.task->read(update, kNever, nullptr), ReadResult::Update);
    world.release.open();
    EXPECT_EQ(sent.task->read(update, kNever, nullptr), ReadResult::Completed);
    update.reset();
  });
}

TEST(OutOfMemory, AWorkersFailureArrivesWithoutItsWords) {
  struct World : Running {
    World() {
      host.become([this](Script& script) -> RunOutcome {
        while (Ref<Task> task = script.receive()) {
          if (dies) throw std::bad_alloc();
          task->complete(std::move(task->payload()));
          script.slot.release(*task);
        }
        return {true, Failure(Reason::Exited, {})};
      });
      std::string error;
      pool->restart_worker(0);
      test::eventually([this] { return host.runs >= 2 && pool->stats().waiting == 1; });
      sent = pool->send(payload(), kNever, nullptr);
    }
    std::atomic<bool> dies{true};
    Pool::Sent sent;
  };
  refuse_all<World>([](World& world) { EXPECT_EQ(test::end_of(*world.sent.task), ReadResult::Failed); },
                    [](World& world) {
                      EXPECT_EQ(world.sent.task->failure().reason, Reason::MemoryLimit);
                      world.dies = false;  // nor the run that has begun meanwhile
                      expect_works(*world.pool);
                    });
}

// --- the life of pools -------------------------------------------------------------------------------

TEST(OutOfMemory, APoolStartsOrSaysWhyNot) {
  struct World {
    FakeHost host{echo};
    std::shared_ptr<Pool> pool;
    ~World() {
      if (!pool) return;
      pool->begin_drain();
      pool->finish_drain();
    }
  };
  refuse_each<World>(
      [](World& world) {
        world.pool = Pool::create(options(2), world.host);
        std::string error;
        Failure failure;
        if (!world.pool->start(error) || !world.pool->wait_ready(kNever, error, failure)) {
          EXPECT_FALSE(error.empty());
        }
      },
      [](World& world) {
        if (!world.pool) world.pool = Pool::create(options(2), world.host);
        std::string error;
        EXPECT_TRUE(world.pool->start(error)) << error;
        expect_works(*world.pool);
      });
}

TEST(OutOfMemory, DrainingNeedsNone) {
  struct World : Paused {
    World() {
      for (Pool::Sent& one : sent) one = pool->send(payload(), kNever, nullptr, hours(1));
    }
    Pool::Sent sent[3];
  };
  refuse_all<World>(
      [](World& world) {
        world.pool->begin_drain();
        EXPECT_EQ(world.pool->finish_drain(), 0u);
      },
      [](World& world) {
        for (const Pool::Sent& one : world.sent) {
          EXPECT_EQ(test::end_of(*one.task), ReadResult::Failed);
          EXPECT_EQ(one.task->failure().reason, Reason::Shutdown);
        }
      });
}

TEST(OutOfMemory, ASuccessorTakesOverWithoutAny) {
  struct World : Paused {
    World() {
      for (Pool::Sent& one : sent) one = pool->send(payload(), kNever, nullptr, hours(1));
      next = Pool::create(options(1, 8), host, {}, pool);
      test::start_and_wait(*next);
    }
    ~World() {
      next->begin_drain();
      next->finish_drain();
    }
    Pool::Sent sent[3];
    std::shared_ptr<Pool> next;
  };
  refuse_all<World>(
      [](World& world) {
        world.pool->begin_drain(world.next);
        for (const Pool::Sent& one : world.sent) EXPECT_EQ(test::end_of(*one.task), ReadResult::Completed);
        EXPECT_EQ(world.pool->finish_drain(), 0u);
      },
      [](World& world) { expect_works(*world.next); });
}

TEST(OutOfMemory, AThreadThatDoesNotEndIsLeftBehind) {
  struct World {
    std::shared_ptr<Gate> blocked = std::make_shared<Gate>();
    FakeHost host{[gate = blocked](Script& script) {
      Ref<Task> task = script.receive();
      Ref<Task> other = script.receive();
      gate->wait();
      if (task) script.slot.release(*task);
      if (other) script.slot.release(*other);
      return RunOutcome{true, Failure(Reason::Exited, {})};
    }};
    std::shared_ptr<Pool> pool = Pool::create(options(1, 4), host);
    Pool::Sent sent[2];
    World() {
      test::start_and_wait(*pool);
      for (Pool::Sent& one : sent) one = pool->send(payload(), kNever, nullptr, hours(1));
      test::eventually([this] { return sent[1].task->state() == TaskState::Running; });
    }
    ~World() {
      blocked->open();
      test::eventually([this] { return host.leaves == 1; });
      const std::weak_ptr<Pool> gone = pool;
      for (Pool::Sent& one : sent) one.task = nullptr;
      pool.reset();
      test::eventually([&] { return gone.expired(); });
    }
  };
  refuse_all<World>([](World& world) {
    world.pool->begin_drain();
    EXPECT_EQ(world.pool->finish_drain(), 1u);
    for (const Pool::Sent& one : world.sent) {
      EXPECT_EQ(test::end_of(*one.task), ReadResult::Failed);
      EXPECT_EQ(one.task->failure().reason, Reason::WorkerLost);
    }
  });
}

TEST(OutOfMemory, OperationsNeedNone) {
  refuse_all<Running>(
      [](Running& world) {
        std::string error;
        EXPECT_TRUE(world.pool->pause(error));
        EXPECT_TRUE(world.pool->resume(error));
        EXPECT_TRUE(world.pool->restart_worker(0));
        EXPECT_FALSE(world.pool->restart_worker(7));
      },
      [](Running& world) { expect_works(*world.pool); });
}

TEST(OutOfMemory, LookingAtAPool) {
  refuse_each<Paused>(
      [](Paused& world) {
        const Pool::Sent sent = world.pool->send(payload(), kNever, nullptr);
        ASSERT_EQ(sent.result, SendResult::Accepted);
        EXPECT_EQ(world.pool->report().tasks.size(), 1u);
        EXPECT_TRUE(world.pool->find_task(sent.task->id()));
      },
      [](Paused& world) {
        std::string error;
        EXPECT_TRUE(world.pool->resume(error));
        expect_works(*world.pool);
      });
}

// --- snapshots ---------------------------------------------------------------------------------------

TEST(OutOfMemory, ASnapshotIsPublishedOrNot) {
  struct World : Running {
    World() {
      host.become([this](Script& script) {
        try {
          script.slot.pool().publish(script.slot, payload("new"));
          published = true;
        } catch (const std::bad_alloc&) {
          refused = true;
        }
        return echo(script);
      });
    }
    std::atomic<bool> published{false}, refused{false};
  };
  refuse_each<World>(
      [](World& world) {
        EXPECT_TRUE(world.pool->restart_worker(0));
        test::eventually([&] { return world.published || world.refused || world.pool->stats().breaker_open; });
        if (world.published) {
          EXPECT_EQ(world.pool->look(kNever, nullptr).snapshot->payload().size(), 3u);
        }
      },
      [](World& world) {
        EXPECT_EQ(world.pool->snapshots().version(), world.published ? 1u : 0u);
        expect_works(*world.pool);
      });
}

TEST(OutOfMemory, WhatASuccessorHeldBackIsPublishedWithoutAny) {
  struct World : Running {
    World() {
      host.become([](Script& script) {
        script.slot.pool().publish(script.slot, payload("from the successor"));
        return echo(script);
      });
      next = Pool::create(options(1), host, {}, pool);
      test::start_and_wait(*next);
      test::eventually([this] { return next->stats().waiting == 1; });
    }
    ~World() {
      next->begin_drain();
      next->finish_drain();
    }
    std::shared_ptr<Pool> next;
  };
  refuse_all<World>(
      [](World& world) {
        EXPECT_EQ(world.pool->snapshots().version(), 0u);
        world.pool->begin_drain(world.next);
        EXPECT_EQ(world.pool->finish_drain(), 0u);
      },
      [](World& world) {
        const Pool::Look look = world.next->look(kNever, nullptr);
        ASSERT_TRUE(look.snapshot);
        EXPECT_EQ(test::text_of(look.snapshot->payload()), "from the successor");
      });
}

// --- configurations ----------------------------------------------------------------------------------

PoolOptions named(const char* name, uint32_t num = 1) {
  PoolOptions made = options(num, 8);
  made.name = name;
  return made;
}

void build(Generation& generation) {
  std::string error;
  const auto scope = generation.add_scope("a site with a long name, as sites have");
  EXPECT_TRUE(scope->add(named("one of the workers"), error)) << error;
  EXPECT_TRUE(generation.global()->add(named("one of the global workers"), error)) << error;
  EXPECT_TRUE(generation.global()->add(named("", 0), error)) << error;
}

struct Configured {
  Configured() {
    build(generation);
    std::string error;
    EXPECT_TRUE(generation.start(error)) << error;
  }
  ~Configured() { EXPECT_EQ(generation.close(), 0u); }
  FakeHost host{echo};
  Generation generation{host};
};

void expect_finds(Generation& generation, const char* name) {
  std::shared_ptr<Pool> pool;
  ASSERT_EQ(generation.scopes().back()->find(name, pool), Scope::Lookup::Found);
  expect_works(*pool);
}

TEST(OutOfMemory, AConfigurationStartsOrIsClosedAgain) {
  struct World {
    FakeHost host{echo};
  };
  refuse_each<World>([](World& world) {
    Generation generation(world.host);
    build(generation);
    std::string error;
    if (!generation.start(error)) {
      EXPECT_FALSE(error.empty());
    }
    EXPECT_EQ(generation.close(), 0u);
  });
}

TEST(OutOfMemory, AReloadThatFailsChangesNothing) {
  refuse_each<Configured>(
      [](Configured& world) {
        Generation next(world.host, &world.generation);
        build(next);
        std::string error;
        if (!next.start(error)) {
          EXPECT_FALSE(error.empty());
        }
        EXPECT_EQ(next.close(), 0u);
      },
      [](Configured& world) {
        expect_finds(world.generation, "one of the workers");
        expect_finds(world.generation, "one of the global workers");
        expect_finds(world.generation, "made by the catch-all");
      });
}

TEST(OutOfMemory, CatchAll) {
  struct World : Configured {
    Pool::Sent sent;
  };
  refuse_each<World>(
      [](World& world) {
        std::shared_ptr<Pool> pool;
        ASSERT_EQ(world.generation.global()->find("made by the catch-all", pool), Scope::Lookup::Found);
        world.sent = pool->send(payload(), kNever, nullptr);
      },
      [](World& world) {
        // While no worker finds memory to start with, the task waits in the queue.
        if (world.sent.task) {
          EXPECT_LE(test::end_of(*world.sent.task), ReadResult::Failed);
        }
        expect_finds(world.generation, "made by the catch-all");
      });
}

TEST(OutOfMemory, ClosingNeedsNone) {
  struct World : Configured {
    World() {
      expect_finds(generation, "made by the catch-all");
      build(next);
      std::string error;
      EXPECT_TRUE(next.start(error)) << error;
    }
    Generation next{host, &generation};
  };
  refuse_all<World>([](World& world) { EXPECT_EQ(world.generation.close(), 0u); },
                    [](World& world) {
                      expect_finds(world.next, "one of the workers");
                      EXPECT_EQ(world.next.close(), 0u);
                    });
}

TEST(OutOfMemory, ARestartHappensOrNot) {
  // What a restart has replaced is brought to its end by the timers: to be waited for, when all else is gone.
  struct Replaced {
    std::vector<std::weak_ptr<Pool>> pools = std::vector<std::weak_ptr<Pool>>(2);
    ~Replaced() {
      for (const auto& pool : pools) test::eventually([&] { return pool.expired(); });
    }
  };
  struct World : Replaced, Configured {
    bool restart(size_t nth) {
      std::shared_ptr<Pool> pool;
      EXPECT_EQ(generation.global()->find("one of the global workers", pool), Scope::Lookup::Found);
      pools[nth] = pool;
      std::string error;
      const bool done = pool->restart(error);
      EXPECT_NE(done, !error.empty()) << error;
      return done;
    }
  };
  refuse_each<World>([](World& world) { world.restart(0); },
                     [](World& world) {
                       expect_finds(world.generation, "one of the global workers");
                       EXPECT_TRUE(world.restart(1));
                       expect_finds(world.generation, "one of the global workers");
                     });
}

// --- the parts ---------------------------------------------------------------------------------------

TEST(OutOfMemory, LogRecordsThatFindNoneAreCounted) {
  struct World {};
  int64_t dropped_in_all = 0;
  refuse_each<World>(
      [](World&) {
        LogQueue::global().push([] {
          LogRecord record;
          record.message = kText;
          record.fields = {{"worker", kText}};
          return record;
        });
      },
      [&](World&) {
        LogRecord record;
        uint64_t dropped = 0;
        const bool there = LogQueue::global().next(0, record, dropped) == LogQueue::Next::Record;
        if (there) return;
        // The loss is told with the next record.
        record.message = "later";
        LogQueue::global().push(std::move(record));
        ASSERT_EQ(LogQueue::global().next(0, record, dropped), LogQueue::Next::Record);
        EXPECT_EQ(dropped, 1u);
        dropped_in_all += static_cast<int64_t>(dropped);
      });
  EXPECT_GT(dropped_in_all, 0);
}

TEST(OutOfMemory, HandlesAreTakenOutWithoutAny) {
  struct World {
    HandleTable<std::shared_ptr<int>> table;
    std::vector<uint64_t> handles;
    World() {
      for (int i = 0; i < 100; ++i) handles.push_back(table.insert(std::make_shared<int>(i)));
    }
  };
  refuse_all<World>(
      [](World& world) {
        for (const uint64_t handle : world.handles) EXPECT_TRUE(world.table.take(handle));
      },
      [](World& world) { EXPECT_EQ(world.table.size(), 0u); });
  refuse_each<World>(
      [](World& world) {
        for (int i = 0; i < 100; ++i) world.table.insert(std::make_shared<int>(i));
      },
      [](World& world) {
        for (const uint64_t handle : world.handles) EXPECT_TRUE(world.table.find(handle));
        EXPECT_TRUE(world.table.find(world.table.insert(std::make_shared<int>(1))));
      });
}

TEST(OutOfMemory, TimersGoOn) {
  struct World {
    Timers timers;
    World() { EXPECT_EQ(timers.start(), 0); }
  };
  refuse_all<World>([](World& world) {
    // The first of all needs a table.
    test::memory.disarm();
    world.timers.cancel(world.timers.schedule(kNever, [] {}));
    test::memory.arm(1, Refuse::FromThenOn);
    Timers::Id ids[Timers::kAhead];
    for (Timers::Id& id : ids) {
      id = world.timers.schedule(kNever, [] {});
      EXPECT_NE(id, 0u);
    }
    for (int i = 0; i < 1000; ++i) world.timers.schedule(kNever, [] {});  // more than it has places for
    EXPECT_EQ(world.timers.schedule(kNever, [] {}), 0u);
    for (const Timers::Id id : ids) world.timers.cancel(id);
    std::atomic<int> tries{0};
    EXPECT_NE(world.timers.schedule(now(),
                                    [&tries] {
                                      if (++tries < 3) throw std::bad_alloc();
                                    }),
              0u);
    test::eventually([&] { return tries == 3; });
  });
}

}  // namespace
}  // namespace igor
