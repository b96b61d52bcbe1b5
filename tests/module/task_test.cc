#include "module/task.h"

#include <poll.h>

#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

using test::failure_of;
using test::Gate;
using test::payload_of;
using test::text_of;
using ReadResult = Task::ReadResult;
using UpdateResult = Task::UpdateResult;

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

// A pool without threads, a slot that runs nothing: a task moved by hand.
class TaskTest : public testing::Test {
 protected:
  explicit TaskTest(PoolOptions options = test::options_of(0))
      : pool(Pool::create(std::move(options), host)), slot(*pool, 0) {}

  Ref<Task> make(uint32_t updates = 0) {
    auto task = Ref<Task>::adopt(new Task(pool, payload_of("in"), updates));
    pool->count_accepted(*task);
    return task;
  }
  Ref<Task> make_running(uint32_t updates = 0) {
    auto task = make(updates);
    EXPECT_TRUE(task->start(slot));
    return task;
  }
  ReadResult poll_read(Task& task, std::string* text = nullptr) {
    Payload update;
    const ReadResult result = task.read(update, TimePoint{}, nullptr);
    if (text != nullptr) *text = text_of(update);
    return result;
  }

  test::FakeHost host;
  std::shared_ptr<Pool> pool;
  WorkerSlot slot;
};

TEST_F(TaskTest, IdentifiersAreUniqueAndNotZero) {
  const auto one = make(), other = make();
  EXPECT_GT(one->id(), 0u);
  EXPECT_GT(other->id(), one->id());
  EXPECT_EQ(one->payload_size(), 2u);
}

TEST_F(TaskTest, StartsOnceAndOnlyWhilePending) {
  const auto task = make();
  EXPECT_EQ(task->state(), TaskState::Pending);
  EXPECT_TRUE(task->start(slot));
  EXPECT_EQ(task->state(), TaskState::Running);
  EXPECT_FALSE(task->start(slot));
  const auto cancelled = make();
  cancelled->cancel();
  EXPECT_FALSE(cancelled->start(slot)) << "nothing starts after its cancellation";
  const auto late = make();
  EXPECT_TRUE(late->time_out());
  EXPECT_FALSE(late->start(slot));
}

// Every end against every other, in both states: the first wins, the second changes nothing.
struct End {
  const char* name;
  TaskState state;
  std::function<void(Task&)> take;
};
const std::vector<End>& ends() {
  static const std::vector<End> all = {
      {"complete", TaskState::Completed, [](Task& task) { task.complete(payload_of("out")); }},
      {"fail", TaskState::Failed, [](Task& task) { task.fail(failure_of(Reason::FatalError, "it broke", 255)); }},
      {"shut down", TaskState::Failed, [](Task& task) { task.fail(failure_of(Reason::Shutdown, "stopping")); }},
      {"cancel", TaskState::Cancelled, [](Task& task) { task.cancel(); }},
      {"time out", TaskState::TimedOut, [](Task& task) { task.time_out(); }},
  };
  return all;
}

TEST_F(TaskTest, TheFirstEndWinsAndIsCountedOnce) {
  for (const bool running : {false, true}) {
    for (const End& first : ends()) {
      for (const End& second : ends()) {
        SCOPED_TRACE(std::string(first.name) + ", then " + second.name + (running ? ", running" : ", pending"));
        const auto task = running ? make_running() : make();
        const uint64_t before = pool->counters().ended();
        first.take(*task);
        EXPECT_EQ(task->state(), first.state);
        EXPECT_EQ(pool->counters().ended(), before + 1);
        const Failure failure = first.state == TaskState::Completed ? Failure() : task->failure();
        second.take(*task);
        EXPECT_EQ(task->state(), first.state);
        EXPECT_EQ(pool->counters().ended(), before + 1);
        if (first.state == TaskState::Completed) {
          EXPECT_EQ(poll_read(*task), ReadResult::Completed);
          EXPECT_EQ(text_of(task->result()), "out");
        } else {
          EXPECT_EQ(poll_read(*task), ReadResult::Failed);
          EXPECT_EQ(task->failure().reason, failure.reason);
          EXPECT_EQ(task->failure().message, failure.message);
          EXPECT_EQ(task->failure().exit_status, failure.exit_status);
        }
      }
    }
  }
  EXPECT_EQ(pool->counters().accepted.load(), pool->counters().ended());
}

TEST_F(TaskTest, ExactlyOneOfTwoRacingEndsWins) {
  for (const End& one : ends()) {
    for (const End& other : ends()) {
      for (int round = 0; round < 20; ++round) {
        const auto task = make_running();
        const uint64_t before = pool->counters().ended();
        Gate go;
        std::thread thread([&] {
          go.wait();
          one.take(*task);
        });
        go.open();
        other.take(*task);
        thread.join();
        EXPECT_TRUE(task->state() == one.state || task->state() == other.state);
        EXPECT_EQ(pool->counters().ended(), before + 1) << one.name << " against " << other.name;
      }
    }
  }
}

TEST_F(TaskTest, StartAgainstCancelEndsCancelled) {
  for (int round = 0; round < 500; ++round) {
    const auto task = make();
    Gate go;
    std::thread worker([&] {
      go.wait();
      task->start(slot);
    });
    go.open();
    task->cancel();
    worker.join();
    EXPECT_EQ(task->state(), TaskState::Cancelled);
  }
}

TEST_F(TaskTest, AnEndIsCountedBeforeItIsSeen) {
  // Reported gauges once ran behind the states that they count.
  for (int round = 0; round < 200; ++round) {
    const auto task = make_running();
    const uint64_t before = pool->counters().completed;
    std::thread worker([&] { task->complete(Payload()); });
    Payload update;
    EXPECT_EQ(task->read(update, kNever, nullptr), ReadResult::Completed);
    EXPECT_EQ(pool->counters().completed, before + 1);
    worker.join();
  }
}

TEST_F(TaskTest, UncountedTasksLeaveTheCountersAlone) {
  const auto task = Ref<Task>::adopt(new Task(pool, Payload(), 0));
  task->cancel();
  EXPECT_EQ(pool->counters().ended(), 0u);
}

TEST_F(TaskTest, UpdatesComeInOrderAndAllBeforeTheEnd) {
  const auto task = make_running();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(task->update(payload_of(std::to_string(i)), nullptr), UpdateResult::Sent);
  EXPECT_TRUE(task->complete(payload_of("done")));
  EXPECT_FALSE(task->drained());
  std::string text;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(poll_read(*task, &text), ReadResult::Update);
    EXPECT_EQ(text, std::to_string(i));
  }
  EXPECT_TRUE(task->drained());
  EXPECT_EQ(poll_read(*task), ReadResult::Completed);
  EXPECT_EQ(poll_read(*task), ReadResult::Completed) << "again and again";
  EXPECT_EQ(text_of(task->result()), "done");
  EXPECT_EQ(pool->counters().updates, 10u);
}

TEST_F(TaskTest, UpdatesBeforeAFailureAreDeliveredToo) {
  const auto task = make_running();
  EXPECT_EQ(task->update(payload_of("half"), nullptr), UpdateResult::Sent);
  EXPECT_TRUE(task->fail(failure_of(Reason::MemoryLimit, "too much", 255)));
  std::string text;
  EXPECT_EQ(poll_read(*task, &text), ReadResult::Update);
  EXPECT_EQ(text, "half");
  EXPECT_EQ(poll_read(*task), ReadResult::Failed);
  EXPECT_EQ(task->failure().reason, Reason::MemoryLimit);
}

TEST_F(TaskTest, NoUpdateAfterTheEnd) {
  const auto task = make_running();
  task->cancel();
  EXPECT_EQ(task->update(payload_of("late"), nullptr), UpdateResult::Closed);
  EXPECT_EQ(pool->counters().updates, 0u);
}

TEST_F(TaskTest, AFullFifoBlocksUntilTheSenderReads) {
  const auto task = make_running(2);
  constexpr int kUpdates = 2'000;
  std::thread worker([&] {
    for (int i = 0; i < kUpdates; ++i) {
      ASSERT_EQ(task->update(payload_of(std::to_string(i)), nullptr), UpdateResult::Sent);
    }
    task->complete(Payload());
  });
  for (int i = 0; i < kUpdates; ++i) {
    Payload update;
    ASSERT_EQ(task->read(update, kNever, nullptr), ReadResult::Update);
    ASSERT_EQ(text_of(update), std::to_string(i));
  }
  Payload update;
  EXPECT_EQ(task->read(update, kNever, nullptr), ReadResult::Completed);
  worker.join();
}

TEST_F(TaskTest, EveryEndReleasesAWorkerBlockedOnAFullFifo) {
  for (const End& end : ends()) {
    SCOPED_TRACE(end.name);
    const auto task = make_running(1);
    ASSERT_EQ(task->update(payload_of("1"), nullptr), UpdateResult::Sent);
    Gate blocking;
    std::thread worker([&] {
      blocking.open();
      EXPECT_EQ(task->update(payload_of("2"), nullptr), UpdateResult::Closed);
    });
    blocking.wait();
    end.take(*task);
    worker.join();
  }
}

TEST_F(TaskTest, AnInterruptReleasesAWorkerBlockedOnAFullFifo) {
  const auto task = make_running(1);
  ASSERT_EQ(task->update(payload_of("1"), nullptr), UpdateResult::Sent);
  Interrupt interrupt;
  interrupt.raise();
  EXPECT_EQ(task->update(payload_of("2"), &interrupt), UpdateResult::Interrupted);
  EXPECT_FALSE(task->ended());
  std::string text;
  EXPECT_EQ(poll_read(*task, &text), ReadResult::Update);
  EXPECT_EQ(task->update(payload_of("2"), &interrupt), UpdateResult::Sent) << "with room it does not matter";
}

TEST_F(TaskTest, ADrainReleasesAWorkerBlockedOnAFullFifo) {
  Gate blocking;
  test::FakeHost updater([&](test::Script& script) {
    const Ref<Task> task = script.receive();
    EXPECT_EQ(task->update(payload_of("1"), nullptr), UpdateResult::Sent);
    blocking.open();
    EXPECT_EQ(task->update(payload_of("2"), nullptr), UpdateResult::Draining);
    return test::clean_end();
  });
  PoolOptions options = test::options_of(1);
  options.updates = 1;
  test::TestPool draining(options, updater);
  const Pool::Sent sent = test::send(*draining);
  blocking.wait();
  draining.drain();
  EXPECT_EQ(test::end_of(*sent.task), ReadResult::Failed);
  EXPECT_EQ(sent.task->failure().reason, Reason::Shutdown);
}

TEST_F(TaskTest, ADrainWhileTheWorkerGoesToSleepIsNotSleptThrough) {
  // Draining is not under the task's lock, so its flag and its notification come at any moment of the
  // worker's way into its sleep. The two threads are let go together, often. (That a ticket is taken before
  // the look at the flag closes a gap of a few instructions, which only a preemption there would show.)
  constexpr int kRounds = 5'000;
  std::vector<Ref<Task>> tasks;
  std::vector<std::unique_ptr<WorkerSlot>> slots;
  for (int round = 0; round < kRounds; ++round) {
    const auto own_pool = Pool::create(test::options_of(0), host);
    slots.push_back(std::make_unique<WorkerSlot>(*own_pool, 0));
    tasks.push_back(Ref<Task>::adopt(new Task(own_pool, Payload(), 1)));
    ASSERT_TRUE(tasks.back()->start(*slots.back()));
    ASSERT_EQ(tasks.back()->update(Payload(), nullptr), UpdateResult::Sent);
  }
  std::atomic<int> worker_at{-1}, drainer_at{-1};
  std::thread drainer([&] {
    for (int round = 0; round < kRounds; ++round) {
      drainer_at = round;
      test::eventually([&] { return worker_at >= round; });
      for (int i = round % 64; i > 0; --i) std::atomic_signal_fence(std::memory_order_seq_cst);  // early and late
      tasks[round]->pool().begin_drain();
      tasks[round]->wake_worker();
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    worker_at = round;
    test::eventually([&] { return drainer_at >= round; });
    ASSERT_EQ(tasks[round]->update(Payload(), nullptr), UpdateResult::Draining);
  }
  drainer.join();
}

TEST_F(TaskTest, ReadEndsAtItsDeadlineAndAtOnceWhenItIsPast) {
  const auto task = make();
  EXPECT_EQ(poll_read(*task), ReadResult::TimedOut);
  Payload update;
  EXPECT_EQ(task->read(update, after(now(), std::chrono::milliseconds(3)), nullptr), ReadResult::TimedOut);
  EXPECT_FALSE(task->ended());
}

TEST_F(TaskTest, TheSendersDescriptorIsReadableWhileThereIsSomethingToRead) {
  const auto task = make_running();
  const int fd = task->sender_fd();
  ASSERT_GE(fd, 0);
  EXPECT_FALSE(readable(fd));
  EXPECT_FALSE(task->readable());
  task->update(payload_of("1"), nullptr);
  task->update(payload_of("2"), nullptr);
  EXPECT_TRUE(readable(fd));
  poll_read(*task);
  EXPECT_TRUE(readable(fd)) << "one is left";
  poll_read(*task);
  EXPECT_FALSE(readable(fd));
  task->update(payload_of("3"), nullptr);
  EXPECT_TRUE(readable(fd));
  task->complete(Payload());
  poll_read(*task);
  EXPECT_TRUE(readable(fd)) << "the end stays readable";
  EXPECT_EQ(poll_read(*task), ReadResult::Completed);
  EXPECT_TRUE(readable(fd));
  EXPECT_TRUE(readable(task->sender_fd())) << "asked for after the end";
}

TEST_F(TaskTest, ADescriptorMadeLateShowsTheLevelAtOnce) {
  const auto with_update = make_running();
  with_update->update(payload_of("1"), nullptr);
  EXPECT_TRUE(readable(with_update->sender_fd()));
  const auto ended = make_running();
  ended->cancel();
  EXPECT_TRUE(readable(ended->sender_fd()));
  EXPECT_TRUE(readable(ended->worker_fd()));
}

TEST_F(TaskTest, TheWorkersDescriptorTellsOfTheEnd) {
  for (const End& end : ends()) {
    const auto task = make_running();
    const int fd = task->worker_fd();
    EXPECT_FALSE(readable(fd)) << end.name;
    end.take(*task);
    EXPECT_TRUE(readable(fd)) << end.name;
  }
}

TEST_F(TaskTest, CancellingDropsWhatWasNotReadAndKeepsTheDescriptorReadable) {
  const auto task = make_running();
  const int fd = task->sender_fd();
  for (int i = 0; i < 5; ++i) task->update(payload_of("x"), nullptr);
  task->cancel();
  EXPECT_TRUE(task->drained());
  EXPECT_TRUE(readable(fd));
  EXPECT_EQ(poll_read(*task), ReadResult::Failed);
}

TEST_F(TaskTest, CancellingAnEndedTaskOnlyDropsItsUpdates) {
  const auto task = make_running();
  task->update(payload_of("x"), nullptr);
  task->complete(payload_of("out"));
  task->cancel();
  EXPECT_EQ(task->state(), TaskState::Completed);
  EXPECT_EQ(poll_read(*task), ReadResult::Completed);
}

TEST_F(TaskTest, SpinningBeforeAPollLosesNothing) {
  const auto task = make_running();
  task->sender_before_poll();
  task->update(payload_of("1"), nullptr);
  task->sender_before_poll();
  EXPECT_TRUE(readable(task->sender_fd()));
}

TEST_F(TaskTest, AGroupIsNotifiedOfUpdatesAndEnds) {
  Wakeup group;
  const auto one = make_running(), other = make_running();
  one->watch(&group);
  other->watch(&group);
  Wakeup::Ticket ticket = group.ticket();
  one->update(payload_of("1"), nullptr);
  EXPECT_NE(group.ticket(), ticket);
  ticket = group.ticket();
  other->complete(Payload());
  EXPECT_NE(group.ticket(), ticket);
  one->watch(nullptr);
  ticket = group.ticket();
  one->update(payload_of("2"), nullptr);
  EXPECT_EQ(group.ticket(), ticket);
}

TEST_F(TaskTest, AGroupMayDieOnceNothingNotifiesIt) {
  for (int round = 0; round < 300; ++round) {
    const auto task = make_running();
    auto group = std::make_unique<Wakeup>();
    task->watch(group.get());
    std::thread worker([&] { task->complete(Payload()); });
    task->watch(nullptr);
    group = nullptr;
    worker.join();
  }
}

TEST_F(TaskTest, ManyReadersOfTheEndAllSeeIt) {
  for (int round = 0; round < 100; ++round) {
    const auto task = make_running();
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
      readers.emplace_back([&] {
        Payload update;
        EXPECT_EQ(task->read(update, kNever, nullptr), ReadResult::Completed);
      });
    }
    task->complete(Payload());
    for (std::thread& reader : readers) reader.join();
  }
}

TEST(TaskHistory, TransitionsAreObservedInTheOrderInWhichTheyHappen) {
  std::mutex mutex;
  std::map<uint64_t, std::vector<std::string>> history;
  PoolOptions options = test::options_of(0);
  options.observer = [&](const Task& task, std::string_view event) {
    std::lock_guard lock(mutex);
    history[task.id()].emplace_back(event);
  };
  test::FakeHost host;
  const auto pool = Pool::create(options, host);
  WorkerSlot slot(*pool, 0);
  for (int round = 0; round < 300; ++round) {
    const auto task = Ref<Task>::adopt(new Task(pool, Payload(), 0));
    pool->count_accepted(*task);
    std::thread worker([&] { task->start(slot); });
    task->cancel();
    worker.join();
    std::lock_guard lock(mutex);
    const std::vector<std::string>& events = history[task->id()];
    EXPECT_TRUE(events == (std::vector<std::string>{"accept", "cancel"}) ||
                events == (std::vector<std::string>{"accept", "start", "cancel"}))
        << testing::PrintToString(events);
  }
}

}  // namespace
}  // namespace igor
