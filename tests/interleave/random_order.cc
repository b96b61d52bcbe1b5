#include "tests/interleave/random_order.h"

#include <algorithm>
#include <bit>

namespace igor::interleave {

bool RandomOrder::begin() {
  if (left_ != 0 && --left_ == 0) return false;
  usual_steps_ = std::max<uint64_t>(step_, 20);
  step_ = 0;
  lowest_ = kFalls;
  for (uint64_t& priority : priorities_) priority = kFalls + 1 + random_() % (uint64_t{1} << 32);
  falls_.clear();
  for (uint64_t i = random_() % (kFalls + 1); i > 0; --i) falls_.push_back(random_() % usual_steps_);
  return true;
}

ThreadId RandomOrder::choose(const Moment& moment) {
  ++step_;
  if (std::find(falls_.begin(), falls_.end(), step_) != falls_.end()) priorities_[moment.current] = lowest_--;
  ThreadId highest = kNobody;
  for (ThreadId id = 0; id < kMostThreads; ++id) {
    if ((moment.enabled & only(id)) != 0 && (highest == kNobody || priorities_[id] > priorities_[highest]))
      highest = id;
  }
  return highest;
}

ThreadId Replay::choose(const Moment& moment) {
  if (step_ < schedule_.size() && (moment.enabled & only(schedule_[step_])) != 0) return schedule_[step_++];
  step_ = schedule_.size();
  return static_cast<ThreadId>(std::countr_zero(moment.enabled));
}

}  // namespace igor::interleave
