// What steps are taken on: an identity for every atomic, lock and condition, and the calls by which the
// primitives in sync.h meet the scheduler.
//
// An object gets its number when an execution first touches it, so that the same schedule gives the same
// numbers. One that was destroyed is known as such: a later step on it is a violation, and so is a schedule
// in which it could have come later (see destroyed() in scheduler.h). Memory that a virtual thread frees is not
// given out again before the execution ends (heap.h), so that the mark stays.
#pragma once

#include <cstdint>
#include <utility>

#include "module/clock.h"

namespace igor::interleave {

using ThreadId = uint8_t;
using ObjectId = uint32_t;  // from 1; 0: no object
inline constexpr ThreadId kNobody = 0xff;

// What a thread does in a step. Join and Resume touch no object: they are ordered by what ended or woke it.
enum class Kind : uint8_t {
  Begin,
  Load,
  Store,
  Modify,
  Add,
  Lock,
  LockShared,
  Sleep,    // looks at a futex word, and sleeps
  Wake,     // of a futex word
  Wait,     // on a condition; lets go of the lock
  Notify,   // a condition
  Timeout,  // ends a sleep or wait: time passes
  Resume,   // goes on after having been woken
  Timers,   // a timer is set or cancelled
  Fire,     // the first timer is due: time passes
  Poll,     // a descriptor is readable
  Edge,     // a descriptor's level changes
  Join,
};

struct Operation {
  Kind kind = Kind::Begin;
  ObjectId object = 0;
};

// Whether their order can matter.
inline bool dependent(const Operation& one, const Operation& other) noexcept {
  if (one.object == 0 || one.object != other.object) return false;
  const auto reads = [](Kind kind) { return kind == Kind::Load || kind == Kind::LockShared; };
  if (reads(one.kind) && reads(other.kind)) return false;
  return one.kind != Kind::Add || other.kind != Kind::Add;
}

class Object {
 public:
  Object() noexcept = default;
  ~Object();
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  // Its number in this execution; `fresh`: it is the first time that this execution touches it.
  ObjectId touch(bool* fresh = nullptr) const noexcept;

 private:
  static constexpr uint32_t kAlive = 0x600d0b1e;

  uint32_t mark_ = kAlive;
  mutable uint32_t execution_ = 0;
  mutable ObjectId id_ = 0;
};

struct LockState {
  Object object;
  ThreadId owner = kNobody;
  uint32_t readers = 0;
};

void step(Kind kind, const Object& object) noexcept;
void count_step(Kind kind, const Object& object) noexcept;
void lock(LockState& state, bool shared) noexcept;
void unlock(LockState& state, bool shared) noexcept;
// False: the deadline came.
bool wait(Object& condition, LockState& state, TimePoint deadline) noexcept;
void notify(Object& condition, bool all) noexcept;
void sleep(const Object& word, const uint32_t& value, uint32_t expected, TimePoint deadline) noexcept;
void wake(const Object& word) noexcept;

}  // namespace igor::interleave
