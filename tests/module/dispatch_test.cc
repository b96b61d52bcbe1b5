#include "module/dispatch.h"

#include <mutex>
#include <random>
#include <vector>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

using Submitted = Dispatch::Submitted;

// A Dispatch by itself, moved by hand: the slots run nothing and are never parked.
class DispatchTest : public testing::Test {
 protected:
  DispatchTest() {
    for (uint32_t i = 0; i < 4; ++i) slots.push_back(std::make_unique<WorkerSlot>(*pool, i));
  }
  Ref<Task> make() { return Ref<Task>::adopt(new Task(pool, Payload(), 0)); }
  WorkerSlot& slot(int i) { return *slots[i]; }
  uint64_t accepted() { return pool->counters().accepted; }

  test::FakeHost host;
  std::shared_ptr<Pool> pool = Pool::create(test::options_of(0), host);
  std::vector<std::unique_ptr<WorkerSlot>> slots;
  Mutex mutex;
  Dispatch::Lock lock{mutex};
};

TEST_F(DispatchTest, AWaitingSlotIsOfferedTheTask) {
  Dispatch dispatch(0);
  EXPECT_FALSE(dispatch.ask(lock, slot(0)));
  EXPECT_TRUE(dispatch.has_idle());
  const auto task = make();
  EXPECT_EQ(dispatch.submit(lock, *task), Submitted::Offered);
  EXPECT_FALSE(dispatch.has_idle());
  EXPECT_EQ(accepted(), 1u);
  EXPECT_TRUE(dispatch.ask(lock, slot(0))) << "asking again keeps the offer";
  EXPECT_EQ(task->state(), TaskState::Pending) << "an offer is no hand-over";
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), task.get());
  EXPECT_FALSE(dispatch.take(lock, slot(0)));
}

TEST_F(DispatchTest, TheSlotThatBeganToWaitLastComesFirst) {
  Dispatch dispatch(0);
  for (int i = 0; i < 3; ++i) dispatch.ask(lock, slot(i));
  std::vector<Ref<Task>> tasks;
  for (int i = 0; i < 3; ++i) {
    tasks.push_back(make());
    dispatch.submit(lock, *tasks[i]);
  }
  EXPECT_EQ(dispatch.take(lock, slot(2)).get(), tasks[0].get());
  EXPECT_EQ(dispatch.take(lock, slot(1)).get(), tasks[1].get());
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), tasks[2].get());
}

TEST_F(DispatchTest, RoundRobinTakesTheSlotThatBeganToWaitFirst) {
  Dispatch dispatch(0, DispatchPolicy::RoundRobin);
  for (int i = 0; i < 3; ++i) dispatch.ask(lock, slot(i));
  for (int i = 0; i < 7; ++i) {
    const auto task = make();
    dispatch.submit(lock, *task);
    EXPECT_EQ(dispatch.take(lock, slot(i % 3)).get(), task.get()) << i;
    dispatch.ask(lock, slot(i % 3));
  }
}

TEST_F(DispatchTest, ASlotThatLetAnOfferPassIsTheLastChoiceOfEachPolicy) {
  for (const DispatchPolicy policy : {DispatchPolicy::Shared, DispatchPolicy::LeastBusy, DispatchPolicy::RoundRobin}) {
    Dispatch dispatch(0, policy);
    dispatch.ask(lock, slot(0));
    const auto first = make();
    dispatch.submit(lock, *first);
    dispatch.ask(lock, slot(1));
    dispatch.ask(lock, slot(2));
    dispatch.reoffer(lock, slots, now() + Dispatch::kClaimTime);
    const int taker = policy == DispatchPolicy::RoundRobin ? 1 : 2;
    EXPECT_EQ(dispatch.take(lock, slot(taker)).get(), first.get());
    const auto second = make(), third = make();
    dispatch.submit(lock, *second);
    dispatch.submit(lock, *third);
    EXPECT_EQ(dispatch.take(lock, slot(3 - taker)).get(), second.get());
    EXPECT_EQ(dispatch.take(lock, slot(0)).get(), third.get());
  }
}

TEST_F(DispatchTest, PausedItOffersNothingAndResumedTheOldestComeFirst) {
  Dispatch dispatch(1);
  dispatch.ask(lock, slot(0));
  const auto first = make();
  dispatch.submit(lock, *first);
  dispatch.pause(lock, slots);
  EXPECT_EQ(first->state(), TaskState::Pending);
  EXPECT_FALSE(dispatch.ask(lock, slot(0))) << "the offer is taken back";
  EXPECT_FALSE(dispatch.take(lock, slot(0)));
  dispatch.ask(lock, slot(0));
  dispatch.ask(lock, slot(1));
  const auto second = make(), third = make();
  EXPECT_FALSE(dispatch.has_room(lock)) << "an accepted task that came back counts";
  EXPECT_EQ(dispatch.submit(lock, *second), Submitted::Waiting);
  EXPECT_EQ(dispatch.submit(lock, *third), Submitted::Waiting);
  dispatch.resume(lock);
  EXPECT_EQ(dispatch.take(lock, slot(1)).get(), first.get());
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), second.get());
  EXPECT_EQ(accepted(), 3u) << "the third has a place now";
  EXPECT_EQ(dispatch.take(lock, slot(2)).get(), third.get());
}

TEST_F(DispatchTest, WithoutAWaitingSlotPlacesAreFilledAndTheRestWaits) {
  Dispatch dispatch(2);
  std::vector<Ref<Task>> tasks;
  for (const Submitted expected : {Submitted::Queued, Submitted::Queued, Submitted::Waiting, Submitted::Waiting}) {
    tasks.push_back(make());
    EXPECT_EQ(dispatch.submit(lock, *tasks.back()), expected);
  }
  EXPECT_EQ(accepted(), 2u);
  // Whoever takes the oldest makes room for the first that waits.
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), tasks[0].get());
  EXPECT_EQ(accepted(), 3u);
  EXPECT_EQ(dispatch.mailbox().accepted(), 2u);
  // So does one that asks and is offered.
  EXPECT_TRUE(dispatch.ask(lock, slot(1)));
  EXPECT_EQ(accepted(), 4u);
  EXPECT_EQ(dispatch.take(lock, slot(1)).get(), tasks[1].get());
}

TEST_F(DispatchTest, WithoutPlacesATaskIsAcceptedByWhoeverTakesIt) {
  Dispatch dispatch(0);
  const auto one = make(), two = make();
  EXPECT_EQ(dispatch.submit(lock, *one), Submitted::Waiting);
  EXPECT_EQ(dispatch.submit(lock, *two), Submitted::Waiting);
  EXPECT_EQ(accepted(), 0u);
  EXPECT_TRUE(dispatch.ask(lock, slot(0)));
  EXPECT_EQ(accepted(), 1u);
  EXPECT_EQ(dispatch.take(lock, slot(1)).get(), two.get()) << "the other is offered already";
  EXPECT_EQ(accepted(), 2u);
}

TEST_F(DispatchTest, AWithdrawnOfferLeavesTheSlotWaiting) {
  Dispatch dispatch(0);
  dispatch.ask(lock, slot(0));
  const auto gone = make(), next = make();
  dispatch.submit(lock, *gone);
  EXPECT_TRUE(dispatch.withdraw(lock, *gone));
  EXPECT_TRUE(dispatch.has_idle());
  EXPECT_FALSE(dispatch.withdraw(lock, *gone));
  EXPECT_EQ(dispatch.submit(lock, *next), Submitted::Offered);
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), next.get());
}

TEST_F(DispatchTest, AWithdrawnOfferIsReplacedByTheOldest) {
  Dispatch dispatch(1);
  dispatch.ask(lock, slot(0));
  const auto gone = make(), queued = make(), waiting = make();
  EXPECT_EQ(dispatch.submit(lock, *gone), Submitted::Offered);
  EXPECT_EQ(dispatch.submit(lock, *queued), Submitted::Queued);
  EXPECT_EQ(dispatch.submit(lock, *waiting), Submitted::Waiting);
  EXPECT_TRUE(dispatch.withdraw(lock, *gone));
  EXPECT_EQ(accepted(), 3u) << "the place that became free went to the sender that waited";
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), queued.get());
}

TEST_F(DispatchTest, AWithdrawnPlaceGoesToTheNext) {
  Dispatch dispatch(1);
  const auto queued = make(), waiting = make();
  dispatch.submit(lock, *queued);
  dispatch.submit(lock, *waiting);
  EXPECT_EQ(accepted(), 1u);
  EXPECT_TRUE(dispatch.withdraw(lock, *queued));
  EXPECT_EQ(accepted(), 2u);
  EXPECT_EQ(dispatch.mailbox().accepted(), 1u);
}

TEST_F(DispatchTest, AWithdrawnSenderThatWaitedTakesNobodysPlace) {
  Dispatch dispatch(1);
  const auto queued = make(), impatient = make(), patient = make();
  dispatch.submit(lock, *queued);
  dispatch.submit(lock, *impatient);
  dispatch.submit(lock, *patient);
  EXPECT_TRUE(dispatch.withdraw(lock, *impatient));
  EXPECT_EQ(accepted(), 1u);
  EXPECT_EQ(dispatch.mailbox().size(), 2u);
}

TEST_F(DispatchTest, WhoLeavesPassesItsOfferOn) {
  Dispatch dispatch(0);
  dispatch.ask(lock, slot(0));
  dispatch.ask(lock, slot(1));
  const auto task = make();
  dispatch.submit(lock, *task);  // to slot 1
  dispatch.leave(lock, slot(1));
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), task.get());
}

TEST_F(DispatchTest, WhoLeavesLastPutsItsOfferBackInFront) {
  Dispatch dispatch(1);
  dispatch.ask(lock, slot(0));
  const auto offered = make(), queued = make();
  dispatch.submit(lock, *offered);
  dispatch.submit(lock, *queued);
  dispatch.leave(lock, slot(0));
  EXPECT_EQ(dispatch.mailbox().accepted(), 2u) << "both were accepted and stay so";
  EXPECT_EQ(accepted(), 2u);
  EXPECT_EQ(dispatch.take(lock, slot(1)).get(), offered.get());
  EXPECT_EQ(dispatch.take(lock, slot(1)).get(), queued.get());
  dispatch.leave(lock, slot(2));  // never asked
  EXPECT_FALSE(dispatch.has_idle());
}

TEST_F(DispatchTest, AnUnclaimedOfferGoesToAnotherThatWaitsAfterItsTime) {
  Dispatch dispatch(0);
  dispatch.ask(lock, slot(0));
  dispatch.ask(lock, slot(1));
  const auto task = make();
  dispatch.submit(lock, *task);  // to slot 1
  EXPECT_TRUE(dispatch.wants_reoffer(lock));
  const TimePoint at = now();
  dispatch.reoffer(lock, slots, at - Dispatch::kClaimTime);
  EXPECT_TRUE(dispatch.ask(lock, slot(1))) << "too early: still its own";
  dispatch.reoffer(lock, slots, at + Dispatch::kClaimTime);
  EXPECT_FALSE(dispatch.ask(lock, slot(1)));
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), task.get());
  EXPECT_FALSE(dispatch.wants_reoffer(lock));
}

TEST_F(DispatchTest, AMovedOfferMayMoveOnAndOnlyWhileSomebodyWaits) {
  Dispatch dispatch(0);
  dispatch.ask(lock, slot(0));
  const auto task = make();
  dispatch.submit(lock, *task);
  EXPECT_FALSE(dispatch.wants_reoffer(lock)) << "nobody else waits";
  dispatch.reoffer(lock, slots, now() + Dispatch::kClaimTime);
  EXPECT_TRUE(dispatch.ask(lock, slot(0)));
  dispatch.ask(lock, slot(1));
  EXPECT_TRUE(dispatch.wants_reoffer(lock));
  dispatch.reoffer(lock, slots, now() + Dispatch::kClaimTime);
  EXPECT_TRUE(dispatch.ask(lock, slot(1)));
  EXPECT_TRUE(dispatch.wants_reoffer(lock)) << "slot 0 still waits, as the last choice";
  dispatch.reoffer(lock, slots, now() + Dispatch::kClaimTime);
  EXPECT_EQ(dispatch.take(lock, slot(0)).get(), task.get());
}

TEST_F(DispatchTest, AClaimedOrWithdrawnOfferIsUnsureNoMore) {
  Dispatch dispatch(0);
  dispatch.ask(lock, slot(0));
  dispatch.ask(lock, slot(1));
  dispatch.ask(lock, slot(2));
  const auto claimed = make(), withdrawn = make();
  dispatch.submit(lock, *claimed);    // to slot 2
  dispatch.submit(lock, *withdrawn);  // to slot 1
  dispatch.take(lock, slot(2));
  EXPECT_TRUE(dispatch.wants_reoffer(lock));
  dispatch.withdraw(lock, *withdrawn);
  EXPECT_FALSE(dispatch.wants_reoffer(lock));
}

TEST_F(DispatchTest, TakeAllFindsOfferedAndQueued) {
  Dispatch dispatch(1);
  dispatch.ask(lock, slot(0));
  const auto offered = make(), queued = make();
  dispatch.submit(lock, *offered);
  dispatch.submit(lock, *queued);
  TaskList all = dispatch.take_all(lock, slots);
  EXPECT_EQ(all.pop_front().get(), offered.get());
  EXPECT_EQ(all.pop_front().get(), queued.get());
  EXPECT_TRUE(all.empty());
  EXPECT_FALSE(dispatch.take(lock, slot(0)));
  EXPECT_FALSE(dispatch.wants_reoffer(lock));
}

TEST_F(DispatchTest, NoSlotWaitsWhileATaskDoes) {
  // The invariant, over random moves: whoever waits has nothing to wait for.
  std::mt19937_64 random(11);
  for (int round = 0; round < 50; ++round) {
    Dispatch dispatch(random() % 3);
    std::vector<Ref<Task>> all;
    for (int move = 0; move < 200; ++move) {
      WorkerSlot& some = slot(static_cast<int>(random() % 4));
      switch (random() % 6) {
        case 0:
        case 1:
          all.push_back(make());
          dispatch.submit(lock, *all.back());
          break;
        case 2:
          dispatch.ask(lock, some);
          break;
        case 3:
          dispatch.take(lock, some);
          break;
        case 4:
          if (!all.empty()) dispatch.withdraw(lock, *all[random() % all.size()]);
          break;
        default:
          random() % 2 ? dispatch.leave(lock, some) : dispatch.reoffer(lock, slots, now() + Dispatch::kClaimTime);
      }
      ASSERT_FALSE(dispatch.has_idle() && !dispatch.mailbox().empty());
      ASSERT_FALSE(dispatch.mailbox().has_free_place() && dispatch.mailbox().size() > dispatch.mailbox().accepted())
          << "a sender waits beside a free place";
    }
    dispatch.take_all(lock, slots);
    for (int i = 0; i < 4; ++i) dispatch.leave(lock, slot(i));
  }
}

}  // namespace
}  // namespace igor
