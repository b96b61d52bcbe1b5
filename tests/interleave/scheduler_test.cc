// The scheduler and the explorer themselves: that they try what there is to try, once, and see what is wrong.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "module/sync.h"
#include "tests/interleave/depth_first.h"
#include "tests/interleave/explore.h"
#include "tests/interleave/heap.h"
#include "tests/interleave/random_order.h"
#include "tests/interleave/trace.h"

namespace igor::interleave {
namespace {

using std::chrono::milliseconds;

Settings bounded(int preemptions) {
  Settings settings;
  settings.preemptions = preemptions;
  return settings;
}

// Two that count without care: the sums that come out, over all schedules.
std::set<int> sums(const Settings& settings) {
  std::set<int> seen;
  const auto violation = search(settings, [&] {
    Atomic<int> number{0};
    const auto add = [&] { number.store(number.load() + 1); };
    {
      Thread one("one", add), other("other", add);
    }
    const heap::Unwatched unwatched;
    seen.insert(number.load());
  });
  EXPECT_FALSE(violation);
  return seen;
}

TEST(Explorer, SeesEveryOutcomeOfARace) {
  EXPECT_EQ(sums({}), (std::set{1, 2}));
  EXPECT_EQ(sums(bounded(1)), (std::set{1, 2}));
  Settings random;
  random.random = 100;
  EXPECT_EQ(sums(random), (std::set{1, 2}));
}

TEST(Explorer, WithoutPreemptionsThreadsRunToTheirEnds) {
  EXPECT_EQ(sums(bounded(0)), (std::set{2}));
}

// The number of schedules is that of orders that differ.
uint64_t orders(const std::function<void()>& scenario) {
  DepthFirst strategy({});
  Scheduler scheduler({});
  uint64_t count = 0;
  for (; strategy.begin(); ++count) EXPECT_FALSE(scheduler.run(scenario, strategy));
  return count - strategy.repeated();
}

TEST(Explorer, OrdersThatDifferInNothingAreTriedOnce) {
  EXPECT_EQ(orders([] {
              Atomic<int> here{0}, there{0};
              Thread one("one", [&] { here.store(1); }), other("other", [&] { there.store(1); });
            }),
            1u)
      << "different objects";
  EXPECT_EQ(orders([] {
              Atomic<int> number{0};
              Thread one("one", [&] { number.load(); }), other("other", [&] { number.load(); });
            }),
            1u)
      << "reads";
  EXPECT_EQ(orders([] {
              Atomic<int> number{0};
              const auto add = [&] { number.fetch_add(1, std::memory_order_relaxed); };
              Thread one("one", add), other("other", add), third("third", add);
            }),
            1u)
      << "relaxed additions";
}

TEST(Explorer, OrdersThatDifferAreAllTried) {
  EXPECT_EQ(orders([] {
              Atomic<int> number{0};
              const auto write = [&] { number.store(1); };
              Thread one("one", write), other("other", write), third("third", write);
            }),
            6u);
  EXPECT_EQ(orders([] {
              Mutex mutex;
              const auto take = [&] { std::lock_guard lock(mutex); };
              Thread one("one", take), other("other", take), third("third", take);
            }),
            6u);
  EXPECT_EQ(orders([] {
              Atomic<int> number{0};
              const auto twice = [&] { number.store(1), number.store(2); };
              Thread one("one", twice), other("other", twice);
            }),
            6u)
      << "4 over 2";
  EXPECT_EQ(orders([] {
              Atomic<int> number{0};
              Thread reader("reader", [&] { number.load(); }),
                  writer("writer", [&] { number.store(1), number.store(2); });
            }),
            3u);
}

// --- against trying everything --------------------------------------------------------------------------

// Every schedule there is, or every one with so many preemptions, without any reduction.
class Everything : public Strategy {
 public:
  explicit Everything(std::optional<int> preemptions) : preemptions_(preemptions) {}

  bool begin() override {
    depth_ = 0;
    spent_ = 0;
    if (first_) return !(first_ = false);
    while (!path_.empty() && path_.back().left == 0) path_.pop_back();
    if (path_.empty()) return false;
    take(path_.back());
    return true;
  }
  ThreadId choose(const Moment& moment) override {
    // Switching away from who could go on, and time that passes while somebody could, cost a preemption.
    const ThreadSet ready = moment.enabled & ~moment.timed;
    const ThreadSet same = ready & only(moment.current);
    const ThreadSet free = same != 0 ? same : ready != 0 ? ready : moment.enabled;
    if (depth_ == path_.size()) {
      Node node{preemptions_ && spent_ == *preemptions_ ? free : moment.enabled, kNobody};
      take(node);
      path_.push_back(node);
    }
    const ThreadId chosen = path_[depth_++].chosen;
    spent_ += (only(chosen) & free) == 0;
    return chosen;
  }

 private:
  struct Node {
    ThreadSet left;
    ThreadId chosen;
  };
  static void take(Node& node) {
    node.chosen = static_cast<ThreadId>(std::countr_zero(node.left));
    node.left &= static_cast<ThreadSet>(node.left - 1);
  }

  const std::optional<int> preemptions_;
  std::vector<Node> path_;
  size_t depth_ = 0;
  int spent_ = 0;
  bool first_ = true;
};

// A small program drawn from a seed, and all that its threads can get to see.
std::set<std::string> outcomes(uint32_t seed, Strategy& strategy) {
  std::set<std::string> seen;
  const auto program = [&] {
    std::minstd_rand random(seed);
    std::array<Atomic<int>, 2> numbers{};
    Mutex mutex;
    Condition changed;
    int plain = 0;
    std::array<std::string, 3> logs;
    const auto run = [&](size_t self, const std::vector<uint32_t>& draws) {
      for (uint32_t draw : draws) {
        Atomic<int>& number = numbers[draw / 8 % 2];
        int value = 0;
        switch (draw % 8) {
          case 0:
          case 1:
            value = number.load();
            break;
          case 2:
            number.store(static_cast<int>(self) + 1);
            break;
          case 3:
            value = number.exchange(static_cast<int>(self) + 4);
            break;
          case 4:
            number.fetch_add(10, std::memory_order_relaxed);
            break;
          case 5: {
            std::lock_guard lock(mutex);
            value = plain;
            plain = plain * 3 + static_cast<int>(self);
            break;
          }
          case 6: {
            std::lock_guard lock(mutex);
            plain += number.load();
            changed.notify_one();
            break;
          }
          default: {
            std::unique_lock lock(mutex);
            changed.wait_until(lock, after(now(), milliseconds(1)));
            value = plain++;
          }
        }
        const heap::Unwatched unwatched;
        logs[self] += std::to_string(value) + ' ';
      }
    };
    {
      const auto draw = [&](size_t count) {
        std::vector<uint32_t> drawn(count);
        for (uint32_t& one : drawn) one = static_cast<uint32_t>(random()) / 16;
        return drawn;
      };
      const auto first = draw(3), second = draw(2), third = draw(1);
      Thread one("one", [&] { run(0, first); }), other("other", [&] { run(1, second); });
      run(2, third);
    }
    const heap::Unwatched unwatched;
    seen.insert(logs[0] + "| " + logs[1] + "| " + logs[2] + "| " + std::to_string(numbers[0].load()) + ' ' +
                std::to_string(numbers[1].load()) + ' ' + std::to_string(plain));
    for (std::string& log : logs) std::string().swap(log);
  };
  Settings settings;
  settings.count_leaks = false;
  Scheduler scheduler(settings);
  while (strategy.begin()) {
    const auto violation = scheduler.run(program, strategy);
    EXPECT_FALSE(violation) << violation->what;
  }
  return seen;
}

TEST(Explorer, MissesNothingThatTryingEverythingSees) {
  size_t most = 0;
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    Everything everything({});
    DepthFirst reduced({});
    const auto expected = outcomes(seed, everything);
    EXPECT_EQ(outcomes(seed, reduced), expected) << "seed " << seed;
    most = std::max(most, expected.size());
  }
  EXPECT_GT(most, 20u) << "these programs have many outcomes";
}

TEST(Explorer, MissesNothingWithinItsPreemptions) {
  for (const int preemptions : {0, 1, 2}) {
    for (uint32_t seed = 1; seed <= 40; ++seed) {
      Everything everything(preemptions);
      DepthFirst reduced(preemptions);
      const auto seen = outcomes(seed, reduced);
      for (const std::string& outcome : outcomes(seed, everything)) {
        EXPECT_TRUE(seen.contains(outcome)) << "seed " << seed << " with " << preemptions << ": " << outcome;
      }
    }
  }
}

// --- what is wrong ----------------------------------------------------------------------------------------

std::string found(const std::function<void()>& scenario, const Settings& settings = {}) {
  const auto violation = search(settings, scenario);
  return violation ? violation->what : "";
}

TEST(Explorer, FindsADeadlock) {
  EXPECT_THAT(found([] {
                Mutex first, second;
                Thread one("one", [&] {
                  std::scoped_lock lock(first);
                  std::scoped_lock then(second);
                });
                Thread other("other", [&] {
                  std::scoped_lock lock(second);
                  std::scoped_lock then(first);
                });
              }),
              testing::HasSubstr("deadlock"));
}

TEST(Explorer, FindsALostWakeUp) {
  const auto scenario = [](bool looks_under_the_lock) {
    return [=] {
      Mutex mutex;
      Condition changed;
      Atomic<bool> ready{false};
      Thread waiter("waiter", [&] {
        if (!looks_under_the_lock && ready.load()) return;
        std::unique_lock lock(mutex);
        if (looks_under_the_lock && ready.load()) return;
        changed.wait(lock);
      });
      {
        std::lock_guard lock(mutex);
        ready.store(true);
      }
      changed.notify_one();
    };
  };
  EXPECT_EQ(found(scenario(true)), "");
  EXPECT_THAT(found(scenario(false)), testing::HasSubstr("lost wake-up"));
}

TEST(Explorer, ATimeoutDoesNotHideALostWakeUp) {
  const auto scenario = [](Duration limit) {
    return [=] {
      Mutex mutex;
      Condition changed;
      std::unique_lock lock(mutex);
      changed.wait_until(lock, after(now(), limit));
    };
  };
  EXPECT_THAT(found(scenario(std::chrono::seconds(5))), testing::HasSubstr("5000 ms away"));
  EXPECT_EQ(found(scenario(milliseconds(5))), "");
}

TEST(Explorer, ADeadlineMayComeAtAnyStep) {
  std::set<bool> outcomes;
  EXPECT_EQ(found([&] {
              Atomic<uint32_t> word{0};
              Thread waker("waker", [&] {
                word.store(1);
                futex_wake_all(word);
              });
              futex_wait(word, 0, after(now(), milliseconds(1)));
              const heap::Unwatched unwatched;
              outcomes.insert(word.load() == 1);
            }),
            "");
  EXPECT_EQ(outcomes, (std::set{false, true}));
}

// In a process of its own: under AddressSanitizer it is that which finds it, and ends.
TEST(Explorer, FindsAUseAfterDestruction) {
  const auto look = [] {
    Settings settings;
    settings.reference_counts = true;
    const auto violation = search(settings, [] {
      auto* const number = new Atomic<int>(0);
      Thread user("user", [&] { number->store(1); });
      delete number;
    });
    std::fprintf(stderr, "%s\n", violation ? violation->what.c_str() : "nothing");
    std::_Exit(0);
  };
  EXPECT_EXIT(look(), [](int) { return true; }, "after it was destroyed|use-after-free");
}

TEST(Explorer, FindsALeak) {
  std::unique_ptr<int> kept;
  EXPECT_THAT(found([&] { kept = std::make_unique<int>(1); }), testing::HasSubstr("not freed"));
}

TEST(Explorer, TheSameScheduleDoesTheSameAgain) {
  const auto scenario = [] {
    Atomic<int> number{0};
    {
      Thread one("one", [&] { number.store(number.load() + 1); }),
          other("other", [&] { number.store(number.load() + 1); });
    }
    require(number.load() == 2, "an addition was lost");
  };
  const auto violation = search({}, scenario);
  ASSERT_TRUE(violation);
  EXPECT_EQ(schedule_of(text_of(violation->schedule)), violation->schedule);
  Replay replay(violation->schedule);
  const auto again = Scheduler({}).run(scenario, replay);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->what, violation->what);
  EXPECT_EQ(again->schedule, violation->schedule);
}

}  // namespace
}  // namespace igor::interleave
