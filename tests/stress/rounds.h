// Rounds of a stress test: each from a seed, until the time is over, and what they must leave behind.
//
//   IGOR_STRESS_SECONDS  how long each test goes on (4)
//   IGOR_STRESS_SEED     the first round's seed; printed at start and with every failure
//
// Said at the end: how many rounds there were, how many a second, and the longest with its seed: a wait that is ended
// by its time limit and not by what it waits for makes no test fail, but it shows here, unless the machine stood still
// for as long (a virtual one may), which is said beside it. A round that takes more than ten seconds
// (IGOR_STRESS_SLOW_MS) prints where its threads are (with gdb, where that is installed), one that takes a minute ends
// the process.
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "module/clock.h"
#include "module/timers.h"
#include "tests/stress/history.h"

namespace igor::stress {

inline uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

inline size_t entries_of(const char* folder) {
  size_t count = 0;
  DIR* const listing = opendir(folder);
  while (readdir(listing) != nullptr) ++count;
  closedir(listing);
  return count;
}

// True when the condition comes about: joined threads leave the system's list a moment later, and a timer
// that was running holds its pool until its next turn.
template <typename Condition>
bool settles(Condition condition) {
  const TimePoint end = after(now(), std::chrono::seconds(20));
  while (!condition()) {
    if (now() >= end) return false;
    std::this_thread::yield();
  }
  return true;
}

// Of all threads of this process, to standard error.
inline void print_stacks() {
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  const std::string pid = std::to_string(getpid());
  const pid_t child = fork();
  if (child == 0) {
    dup2(STDERR_FILENO, STDOUT_FILENO);
    // Bounded: it may hang itself, with this process stopped.
    execlp("timeout", "timeout", "-s", "KILL", "20", "gdb", "-p", pid.c_str(), "-batch", "-ex",
           "thread apply all bt 25", nullptr);
    _exit(127);
  }
  if (child > 0) waitpid(child, nullptr, 0);
}

// A thread that wants to run every ten milliseconds: by how much the machine has kept it waiting at most.
class Heartbeat {
 public:
  Heartbeat()
      : thread_([this] {
          for (TimePoint last = now(); !over_;) {
            std::this_thread::sleep_for(kBeat);
            const TimePoint at = now();
            if (const Duration late = at - last - kBeat; late > latest_.load()) latest_ = late;
            last = at;
          }
        }) {}
  ~Heartbeat() {
    over_ = true;
    thread_.join();
  }
  Duration take_latest() { return latest_.exchange(Duration()); }

 private:
  static constexpr Duration kBeat = std::chrono::milliseconds(10);
  std::atomic<bool> over_{false};
  std::atomic<Duration> latest_{Duration()};
  std::thread thread_;
};

// Over one round, on the timers' thread.
class Watchdog {
 public:
  explicit Watchdog(uint64_t seed) {
    const auto say = [seed](const char* what) {
      std::fprintf(stderr, "%s: IGOR_STRESS_SEED=%llu\n", what, static_cast<unsigned long long>(seed));
    };
    slow_ = Timers::global().schedule(
        after(now(), std::chrono::milliseconds(number_from("IGOR_STRESS_SLOW_MS", 10000))), [say] {
          say("takes long");
          print_stacks();
        });
    hangs_ = Timers::global().schedule(after(now(), std::chrono::seconds(60)), [say] {
      say("hangs");
      std::abort();
    });
  }
  ~Watchdog() {
    Timers::global().cancel(slow_);
    Timers::global().cancel(hangs_);
  }

 private:
  Timers::Id slow_, hangs_;
};

// Rounds until the time is over; each leaves as many threads and descriptors as it found.
template <typename Body>
void rounds(Body body) {
  const TimePoint begin = now();
  const TimePoint end = after(begin, std::chrono::seconds(number_from("IGOR_STRESS_SECONDS", 4)));
  uint64_t seed = number_from("IGOR_STRESS_SEED", std::random_device{}());
  std::printf("IGOR_STRESS_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Timers::global().schedule(now(), [] {});  // its thread stays: started before the first count
  Heartbeat heartbeat;
  const size_t descriptors = entries_of("/proc/self/fd");
  const size_t threads = entries_of("/proc/self/task");
  uint64_t count = 0, longest_seed = 0;
  Duration longest{}, stood_still{};
  TimePoint at = begin;
  while (at < end && !testing::Test::HasFailure()) {
    SCOPED_TRACE("IGOR_STRESS_SEED=" + std::to_string(seed));
    Watchdog watchdog(seed);
    body(seed);
    EXPECT_TRUE(settles([&] { return entries_of("/proc/self/task") <= threads; })) << "threads were left";
    EXPECT_TRUE(settles([&] { return entries_of("/proc/self/fd") <= descriptors; })) << "descriptors were left open";
    const TimePoint before = std::exchange(at, now());
    const Duration latest = heartbeat.take_latest();
    if (at - before > longest) {
      longest = at - before;
      longest_seed = seed;
      stood_still = latest;
    }
    if (testing::Test::HasFailure()) {
      std::printf("meanwhile the machine stood still for %lld ms\n",
                  static_cast<long long>(latest.count() / 1'000'000));
    }
    ++seed;
    ++count;
  }
  const auto ms = [](Duration duration) { return static_cast<double>(duration.count()) / 1e6; };
  std::printf(
      "%llu rounds, %.1f a second; the longest, %llu, took %.0f ms, of which the machine stood still for %.0f\n",
      static_cast<unsigned long long>(count), static_cast<double>(count) * 1e3 / ms(at - begin),
      static_cast<unsigned long long>(longest_seed), ms(longest), ms(stood_still));
  for (const auto& [event, total] : History::grand_totals()) {
    std::printf(" %.*s %llu", static_cast<int>(event.size()), event.data(), static_cast<unsigned long long>(total));
  }
  std::printf("\n");
}

}  // namespace igor::stress
