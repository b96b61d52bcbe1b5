// Random schedules, for scenarios that are too large to be explored: after Burckhardt and others, "A randomized
// scheduler with probabilistic guarantees of finding bugs" (2010). Each thread has a random priority, the highest
// of those that can go on does, and at a few random steps the one that runs falls below all others.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/interleave/scheduler.h"

namespace igor::interleave {

class RandomOrder : public Strategy {
 public:
  static constexpr int kFalls = 3;  // at most

  // `schedules` of them; 0: without end.
  RandomOrder(uint64_t seed, uint64_t schedules) : random_(seed), left_(schedules) {}

  bool begin() override;
  ThreadId choose(const Moment& moment) override;

 private:
  std::mt19937_64 random_;
  uint64_t left_;
  uint64_t step_ = 0;
  uint64_t usual_steps_ = 100;  // of the last execution
  std::array<uint64_t, kMostThreads> priorities_{};
  std::vector<uint64_t> falls_;
  uint64_t lowest_ = 0;
};

// One schedule that is known; beyond its end, the first that can go on.
class Replay : public Strategy {
 public:
  explicit Replay(std::vector<ThreadId> schedule) : schedule_(std::move(schedule)) {}

  bool begin() override { return true; }
  ThreadId choose(const Moment& moment) override;

 private:
  const std::vector<ThreadId> schedule_;
  size_t step_ = 0;
};

}  // namespace igor::interleave
