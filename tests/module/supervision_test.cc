#include "module/supervision.h"

#include <gtest/gtest.h>

namespace igor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{seconds(1000)};
constexpr Supervision::Run kNeverReady{};
constexpr Supervision::Run kReadyThenDied{.ready = true};
constexpr Supervision::Run kDiedOfItsTask{.ready = true, .took_task = true};
constexpr Supervision::Run kReturned{.ready = true, .clean = true};

SupervisionOptions options(int max_consecutive_failures) {
  return {milliseconds(100), seconds(10), max_consecutive_failures};
}

TEST(Supervision, BackoffDoublesToItsMaximumJitteredDownByUpToHalf) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Supervision supervision(options(-1), seed);
    Duration full = milliseconds(100);
    for (int i = 0; i < 40; ++i) {
      const Duration delay = supervision.run_ended(kNeverReady, kStart);
      EXPECT_LE(delay, full) << "failure " << i;
      EXPECT_GE(delay, full / 2) << "failure " << i;
      full = std::min<Duration>(full * 2, seconds(10));
    }
    EXPECT_FALSE(supervision.breaker_open()) << "-1: never";
    EXPECT_EQ(supervision.consecutive_failures(), 40);
  }
}

TEST(Supervision, WorkersThatFellTogetherDoNotRiseTogether) {
  Supervision one(options(-1), 1), other(options(-1), 2);
  int same = 0;
  for (int i = 0; i < 20; ++i) same += one.run_ended(kNeverReady, kStart) == other.run_ended(kNeverReady, kStart);
  EXPECT_LT(same, 3);
}

TEST(Supervision, GoodRunsClearTheCount) {
  for (const Supervision::Run& good :
       {kDiedOfItsTask, kReturned, Supervision::Run{.ready = true, .lived = Supervision::kLongEnough}}) {
    Supervision supervision(options(6), 1);
    for (int i = 0; i < 5; ++i) supervision.run_ended(kNeverReady, kStart);
    EXPECT_EQ(supervision.consecutive_failures(), 5);
    const Duration delay = supervision.run_ended(good, kStart);
    EXPECT_EQ(supervision.consecutive_failures(), 0);
    if (good.clean) {
      EXPECT_EQ(delay, Duration::zero()) << "a script that returns is started again at once";
    } else {
      EXPECT_GE(delay, milliseconds(50));
      EXPECT_LE(delay, milliseconds(100));
    }
  }
}

TEST(Supervision, RunsThatNeverAskedAreFailuresHoweverTheyEnded) {
  Supervision supervision(options(6), 1);
  supervision.run_ended({.clean = true}, kStart);
  supervision.run_ended({.clean = true, .lived = seconds(100)}, kStart);
  supervision.run_ended(kReadyThenDied, kStart);
  EXPECT_EQ(supervision.consecutive_failures(), 3);
}

TEST(Supervision, BreakerOpensAndLetsOneTryThroughAfterItsPause) {
  Supervision supervision(options(3), 1);
  supervision.run_ended(kNeverReady, kStart);
  supervision.run_ended(kNeverReady, kStart);
  EXPECT_FALSE(supervision.breaker_open());
  EXPECT_TRUE(supervision.may_start(kStart));
  EXPECT_LE(supervision.ask_again_at(), kStart);

  EXPECT_EQ(supervision.run_ended(kNeverReady, kStart), seconds(10));
  EXPECT_TRUE(supervision.breaker_open());
  EXPECT_FALSE(supervision.may_start(kStart));
  EXPECT_EQ(supervision.ask_again_at(), kStart + seconds(10));
  EXPECT_FALSE(supervision.may_start(kStart + seconds(10) - Duration(1)));

  // Half open: one, and no other until that one's fate is known.
  EXPECT_TRUE(supervision.may_start(kStart + seconds(10)));
  EXPECT_FALSE(supervision.may_start(kStart + seconds(10)));
  EXPECT_EQ(supervision.ask_again_at(), kNever);
  EXPECT_TRUE(supervision.breaker_open());

  // It failed: open again, as long again.
  EXPECT_EQ(supervision.run_ended(kNeverReady, kStart + seconds(11)), seconds(10));
  EXPECT_FALSE(supervision.may_start(kStart + seconds(20)));
  EXPECT_EQ(supervision.ask_again_at(), kStart + seconds(21));
  EXPECT_TRUE(supervision.may_start(kStart + seconds(21)));
}

TEST(Supervision, ATryThatBecomesReadyClosesTheBreakerOnTrial) {
  Supervision supervision(options(3), 1);
  for (int i = 0; i < 3; ++i) supervision.run_ended(kNeverReady, kStart);
  ASSERT_TRUE(supervision.may_start(kStart + seconds(10)));
  supervision.became_ready();
  EXPECT_FALSE(supervision.breaker_open());
  EXPECT_TRUE(supervision.may_start(kStart + seconds(10))) << "the others may start now";

  // Only on trial: the next failure opens it at once.
  supervision.run_ended(kReadyThenDied, kStart + seconds(12));
  EXPECT_TRUE(supervision.breaker_open());
  EXPECT_FALSE(supervision.may_start(kStart + seconds(13)));
}

TEST(Supervision, BecomingReadyForgivesNothingWhileTheBreakerIsClosed) {
  Supervision supervision(options(3), 1);
  supervision.run_ended(kReadyThenDied, kStart);
  supervision.run_ended(kReadyThenDied, kStart);
  supervision.became_ready();
  supervision.run_ended(kReadyThenDied, kStart);
  EXPECT_TRUE(supervision.breaker_open()) << "scripts that only ever get ready count too";
}

TEST(Supervision, ACompletedTaskClosesTheBreakerForGood) {
  Supervision supervision(options(2), 1);
  for (int i = 0; i < 2; ++i) supervision.run_ended(kNeverReady, kStart);
  ASSERT_TRUE(supervision.breaker_open());
  supervision.task_completed();
  EXPECT_FALSE(supervision.breaker_open());
  supervision.run_ended(kNeverReady, kStart);
  EXPECT_FALSE(supervision.breaker_open());
}

TEST(Supervision, AGoodRunClosesTheBreaker) {
  Supervision supervision(options(1), 1);
  supervision.run_ended(kNeverReady, kStart);
  ASSERT_TRUE(supervision.breaker_open());
  ASSERT_TRUE(supervision.may_start(kStart + seconds(10)));
  EXPECT_EQ(supervision.run_ended(kReturned, kStart + seconds(11)), Duration::zero());
  EXPECT_FALSE(supervision.breaker_open());
  EXPECT_TRUE(supervision.may_start(kStart + seconds(11)));
}

TEST(Supervision, ExtremeOptionsDoNotOverflow) {
  Supervision longest({Duration::max() / 2, Duration::max(), -1}, 1);
  for (int i = 0; i < 5; ++i) EXPECT_GT(longest.run_ended(kNeverReady, kStart), Duration::zero());
  Supervision none({Duration::zero(), Duration::zero(), -1}, 1);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(none.run_ended(kNeverReady, kStart), Duration::zero());
  Supervision inverted({seconds(10), milliseconds(1), -1}, 1);
  EXPECT_LE(inverted.run_ended(kNeverReady, kStart), milliseconds(1));
  Supervision forever({milliseconds(1), Duration::max(), 1}, 1);
  forever.run_ended(kNeverReady, kStart);
  EXPECT_EQ(forever.ask_again_at(), kNever);
  EXPECT_FALSE(forever.may_start(kStart + seconds(1'000'000)));
}

}  // namespace
}  // namespace igor
