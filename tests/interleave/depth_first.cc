#include "tests/interleave/depth_first.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>

namespace igor::interleave {
namespace {

ThreadId lowest(ThreadSet set) noexcept {
  return static_cast<ThreadId>(std::countr_zero(set));
}

bool is_read(Kind kind) noexcept {
  return kind == Kind::Load || kind == Kind::LockShared;
}

}  // namespace

void DepthFirst::join(Clock& clock, const Clock& other) noexcept {
  for (size_t i = 0; i < clock.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

// In preemptions, of going on with the thread.
int DepthFirst::cost(const Node& node, ThreadId thread) noexcept {
  const ThreadSet ready = node.enabled & ~node.timed;
  const bool preempts = node.previous != kNobody && thread != node.previous && (ready & only(node.previous)) != 0;
  const bool hurries = (node.timed & only(thread)) != 0 && ready != 0;
  return preempts || hurries ? 1 : 0;
}

bool DepthFirst::affordable(const Node& node, ThreadId thread) const noexcept {
  return !preemptions_ || node.preempted + cost(node, thread) <= *preemptions_;
}

bool DepthFirst::begin() {
  if (!first_) {
    for (;; path_.pop_back()) {
      if (path_.empty()) return false;
      Node& node = path_.back();
      ThreadSet left = node.wanted & ~node.tried & ~node.asleep;
      while (left != 0 && !affordable(node, lowest(left))) left &= static_cast<ThreadSet>(left - 1);
      if (left == 0) continue;
      node.chosen = lowest(left);
      break;
    }
  }
  first_ = false;
  replayed_ = path_.size();
  depth_ = 0;
  repeating_ = false;
  clocks_ = {};
  objects_.clear();
  asleep_ = 0;
  return true;
}

// A state that was not visited before: who goes first.
void DepthFirst::visit(Node& node, const Moment& moment) {
  node.enabled = moment.enabled;
  node.timed = moment.timed;
  node.asleep = asleep_;
  ThreadSet can = moment.enabled & ~asleep_;
  if ((can & ~moment.timed) != 0) can &= ~moment.timed;
  node.chosen = (can & only(moment.current)) != 0 ? moment.current : lowest(can);
  node.wanted = only(node.chosen);
}

ThreadId DepthFirst::choose(const Moment& moment) {
  if (repeating_ || (moment.enabled & ~asleep_) == 0) {
    if (!repeating_) ++repeated_;
    repeating_ = true;
    if ((moment.enabled & only(moment.current)) != 0) return moment.current;
    return lowest((moment.enabled & ~moment.timed) != 0 ? moment.enabled & ~moment.timed : moment.enabled);
  }
  const bool is_new = depth_ == path_.size();
  if (is_new) {
    Node& node = path_.emplace_back();
    if (depth_ > 0) {
      const Node& before = path_[depth_ - 1];
      node.previous = before.chosen;
      node.preempted = before.preempted + cost(before, before.chosen);
    }
    visit(node, moment);
  }
  Node& node = path_[depth_];
  if (node.enabled != moment.enabled) {
    std::fprintf(stderr, "interleave: the scenario does not do the same again with the same schedule\n");
    std::abort();
  }
  const ThreadId chosen = node.chosen;
  const Operation operation = moment.next[chosen];
  // What sleeps in the next state: what was tried here, and what slept, unless this step changes what it would do.
  ThreadSet asleep = 0;
  if (!preemptions_) {
    for (ThreadId id = 0; id < kMostThreads; ++id) {
      if (((node.asleep | node.tried) & ~only(chosen) & only(id)) != 0 && !dependent(moment.next[id], operation))
        asleep |= only(id);
    }
  }
  asleep_ = asleep;
  node.tried |= only(chosen);
  ++depth_;

  // Who set a timer comes before it.
  if (operation.kind == Kind::Fire) join(clocks_[chosen], touched(operation.object).writes.clock);
  const std::vector<uint32_t> raced = depth_ < replayed_ ? std::vector<uint32_t>() : races(chosen, operation);
  record(chosen, operation);
  node.clock = clocks_[chosen];
  for (const uint32_t place : raced) reverse(place, chosen, node.clock);
  if (depth_ >= replayed_) {
    // A deadline that is about to come, and the step that would prevent it.
    for (ThreadId id = 0; id < kMostThreads; ++id) {
      if (id != chosen && (moment.timed & only(id)) != 0 && dependent(moment.next[id], operation)) {
        want(static_cast<uint32_t>(depth_), only(id), id);
      }
    }
  }
  return chosen;
}

DepthFirst::Touched& DepthFirst::touched(ObjectId object) {
  if (objects_.size() <= object) objects_.resize(object + 1);
  return objects_[object];
}

void DepthFirst::latest(const Steps& steps, ThreadId thread, std::vector<uint32_t>& places) const {
  for (ThreadId other = 0; other < kMostThreads; ++other) {
    if (other != thread && steps.last[other] > clocks_[thread][other]) places.push_back(steps.last[other]);
  }
}

// The steps of others that the thread's next might as well have come before.
std::vector<uint32_t> DepthFirst::races(ThreadId thread, const Operation& operation) {
  std::vector<uint32_t> places;
  if (operation.object == 0) return places;
  const Touched& object = touched(operation.object);
  latest(object.writes, thread, places);
  if (!is_read(operation.kind)) latest(object.reads, thread, places);
  if (operation.kind != Kind::Add) latest(object.adds, thread, places);
  return places;
}

// The thread's step, with that clock, is to come before the one at the place: one of those goes first there that
// may begin what has to come before it.
void DepthFirst::reverse(uint32_t place, ThreadId thread, const Clock& clock) {
  const Node& other = path_[place - 1];
  // Of the steps between, those that do not need the other one; by thread, the first of them.
  std::array<uint32_t, kMostThreads> first{};
  ThreadSet begins = 0;
  const auto consider = [&](ThreadId id, const Clock& its, uint32_t at) {
    if (first[id] != 0) return;
    first[id] = at;
    for (ThreadId before = 0; before < kMostThreads; ++before) {
      if (before != id && first[before] != 0 && its[before] >= first[before]) return;
    }
    begins |= only(id);
  };
  for (size_t i = place; i < depth_; ++i) {
    const Node& between = path_[i];
    if (between.clock[other.chosen] < place) consider(between.chosen, between.clock, static_cast<uint32_t>(i + 1));
  }
  consider(thread, clock, static_cast<uint32_t>(depth_ + 1));
  want(place, begins, thread);
}

// One of those goes first at that place, best the thread.
void DepthFirst::want(uint32_t place, ThreadSet begins, ThreadId thread) {
  Node& node = path_[place - 1];
  if (!preemptions_) {
    begins &= node.enabled;
    if (begins == 0) begins = node.wanted |= node.enabled;
    if ((begins & node.wanted) == 0) node.wanted |= (begins & only(thread)) != 0 ? only(thread) : only(lowest(begins));
    return;
  }
  // Where time alone would let the thread go on, another may do so for less.
  const auto add = [&](Node& at) {
    at.wanted |= (at.enabled & ~at.timed & only(thread)) != 0 ? only(thread) : at.enabled;
  };
  add(node);
  size_t start = place - 1;
  while (start > 0 && path_[start - 1].chosen == node.chosen) --start;
  add(path_[start]);
}

void DepthFirst::record(ThreadId thread, const Operation& operation) {
  Clock& clock = clocks_[thread];
  const auto place = static_cast<uint32_t>(depth_);
  clock[thread] = place;
  if (operation.object == 0) return;
  Touched& object = touched(operation.object);
  const bool reads = is_read(operation.kind), adds = operation.kind == Kind::Add;
  join(clock, object.writes.clock);
  if (!reads) join(clock, object.reads.clock);
  if (!adds) join(clock, object.adds.clock);
  Steps& own = reads ? object.reads : adds ? object.adds : object.writes;
  join(own.clock, clock);
  own.last[thread] = place;
}

void DepthFirst::ordered(ThreadId before, ThreadId after) {
  join(clocks_[after], clocks_[before]);
}

void DepthFirst::released(ThreadId thread, ObjectId lock, bool shared) {
  if (repeating_) return;
  Touched& object = touched(lock);
  join((shared ? object.reads : object.writes).clock, clocks_[thread]);
}

void DepthFirst::destroyed(ThreadId thread, ObjectId object) {
  if (repeating_ || depth_ < replayed_) return;
  const std::vector<uint32_t> raced = races(thread, {Kind::Store, object});
  Clock clock = clocks_[thread];
  for (const Steps* steps : {&touched(object).writes, &touched(object).reads, &touched(object).adds})
    join(clock, steps->clock);
  for (const uint32_t place : raced) reverse(place, thread, clock);
}

}  // namespace igor::interleave
