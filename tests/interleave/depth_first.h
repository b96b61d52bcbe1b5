// Explores the schedules of a scenario depth first, by dynamic partial-order reduction: of schedules that differ
// only in the order of steps on different objects, or in the order of reads, one is enough.
//
// After Flanagan and Godefroid, "Dynamic partial-order reduction for model checking software" (2005), with the source
// sets of Abdulla and others, "Optimal dynamic partial order reduction" (2014): when a step turns out to race with an
// earlier one of another thread (they are dependent, and nothing orders them), the state before the earlier one is
// visited again, with one going first that may begin what has to come before the later step. What comes before
// what is kept in vector clocks. Sleep sets keep branches from repeating each other. Every schedule is covered by
// one that is equal to it; scheduler_test.cc compares with trying everything.
//
// With a bound on preemptions it follows Coons, Musuvathi and McKinley, "Bounded partial-order reduction"
// (2013): no sleep sets, and each race is also tried where the earlier thread was switched to, since there a
// switch costs nothing. Switching away from a thread that could go on is a preemption; from one that waits or
// has ended it is none. A deadline that comes while others could go on counts as one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "tests/interleave/scheduler.h"

namespace igor::interleave {

class DepthFirst : public Strategy {
 public:
  explicit DepthFirst(std::optional<int> preemptions) : preemptions_(preemptions) {}

  bool begin() override;
  ThreadId choose(const Moment& moment) override;
  void ordered(ThreadId before, ThreadId after) override;
  void released(ThreadId thread, ObjectId lock, bool shared) override;
  void destroyed(ThreadId thread, ObjectId object) override;

  // Schedules that turned out to repeat others, as far as they could tell late.
  uint64_t repeated() const noexcept { return repeated_; }

 private:
  using Clock = std::array<uint32_t, kMostThreads>;  // how many of the path's steps, by thread, came before

  struct Node {
    ThreadSet enabled = 0;
    ThreadSet timed = 0;
    ThreadSet wanted = 0;  // to be tried here
    ThreadSet tried = 0;   // the last of them is on the path
    ThreadSet asleep = 0;  // would repeat what was tried elsewhere
    ThreadId previous = kNobody;
    ThreadId chosen = kNobody;
    int preempted = 0;  // before this node
    Clock clock{};      // of the chosen thread, with this step
  };
  // The last steps on it that others may race with, as places on the path counted from 1; 0: none.
  struct Steps {
    Clock clock{};  // of what did so
    std::array<uint32_t, kMostThreads> last{};
  };
  struct Touched {
    Steps writes, reads, adds;
  };

  Touched& touched(ObjectId object);
  void visit(Node& node, const Moment& moment);
  void latest(const Steps& steps, ThreadId thread, std::vector<uint32_t>& places) const;
  std::vector<uint32_t> races(ThreadId thread, const Operation& operation);
  void reverse(uint32_t place, ThreadId thread, const Clock& clock);
  void want(uint32_t place, ThreadSet begins, ThreadId thread);
  void record(ThreadId thread, const Operation& operation);
  static int cost(const Node& node, ThreadId thread) noexcept;
  bool affordable(const Node& node, ThreadId thread) const noexcept;
  static void join(Clock& clock, const Clock& other) noexcept;

  const std::optional<int> preemptions_;
  std::vector<Node> path_;
  size_t depth_ = 0;     // of the path, in this execution
  size_t replayed_ = 0;  // of it known before
  bool first_ = true;
  bool repeating_ = false;  // all that could go on would repeat: to the end without looking
  uint64_t repeated_ = 0;
  std::array<Clock, kMostThreads> clocks_{};
  std::vector<Touched> objects_;
  std::array<Operation, kMostThreads> asleep_with_{};
  ThreadSet asleep_ = 0;  // in the state that was reached
};

}  // namespace igor::interleave
