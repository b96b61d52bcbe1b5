#include "module/timers.h"

#include <mutex>
#include <vector>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using test::Gate;

TEST(Timers, RunsInTheOrderOfTimeNotOfCalls) {
  Timers timers;
  std::mutex mutex;
  std::vector<int> order;
  Gate all;
  const TimePoint base = after(now(), milliseconds(20));
  const auto note = [&](int number) {
    return [&, number] {
      std::lock_guard lock(mutex);
      order.push_back(number);
      if (order.size() == 4) all.open();
    };
  };
  timers.schedule(after(base, milliseconds(3)), note(3));
  timers.schedule(after(base, milliseconds(1)), note(1));
  timers.schedule(after(base, milliseconds(1)), note(2));  // equal times: in the order of calls
  timers.schedule(base, note(0));
  all.wait();
  std::lock_guard lock(mutex);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

TEST(Timers, NotBeforeItsTime) {
  Timers timers;
  Gate ran;
  const TimePoint at = after(now(), milliseconds(10));
  TimePoint when{};
  timers.schedule(at, [&] {
    when = now();
    ran.open();
  });
  ran.wait();
  EXPECT_GE(when, at);
}

TEST(Timers, AnEarlierOneWakesTheThreadThatSleepsForALaterOne) {
  Timers timers;
  Gate ran;
  timers.schedule(after(now(), hours(1)), [] { ADD_FAILURE(); });
  timers.schedule(kNever, [] { ADD_FAILURE(); });
  timers.schedule(now(), [&] { ran.open(); });
  ran.wait();
}

TEST(Timers, CancelledOnesDoNotRunAndLetGoOfWhatTheyHold) {
  Timers timers;
  auto held = std::make_shared<int>(1);
  Gate gate, later;
  timers.schedule(now(), [&] { gate.wait(); });  // the thread is busy: nothing below runs before cancel
  const Timers::Id id = timers.schedule(now(), [held] { ADD_FAILURE(); });
  const Timers::Id same_time = timers.schedule(now(), [&] { later.open(); });
  ASSERT_NE(id, 0u);
  ASSERT_NE(id, same_time);
  timers.cancel(id);
  EXPECT_EQ(held.use_count(), 1);
  timers.cancel(id);
  timers.cancel(0);
  timers.cancel(987654);
  gate.open();
  later.wait();
}

TEST(Timers, FunctionsMayScheduleAndCancel) {
  Timers timers;
  Gate done;
  const Timers::Id victim = timers.schedule(after(now(), hours(1)), [] { ADD_FAILURE(); });
  timers.schedule(now(), [&] {
    timers.cancel(victim);
    timers.schedule(now(), [&] { done.open(); });
  });
  done.wait();
}

TEST(Timers, CancelInTheDestructorOfWhatAFunctionHolds) {
  // What a dropped function owned may call back: it is destroyed without the lock.
  Timers timers;
  struct CancelsWhenDropped {
    Timers& timers;
    Timers::Id other;
    ~CancelsWhenDropped() { timers.cancel(other); }
  };
  const Timers::Id other = timers.schedule(after(now(), hours(1)), [] { ADD_FAILURE(); });
  auto owned = std::make_shared<CancelsWhenDropped>(CancelsWhenDropped{timers, other});
  const Timers::Id id = timers.schedule(after(now(), hours(1)), [kept = std::move(owned)] { ADD_FAILURE(); });
  timers.cancel(id);
}

TEST(Timers, TheDestructorDropsWhatIsPending) {
  auto held = std::make_shared<int>(1);
  {
    Timers timers;
    timers.schedule(after(now(), hours(1)), [held] { ADD_FAILURE(); });
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1);
  {
    Timers never_used;
  }
}

}  // namespace
}  // namespace igor
