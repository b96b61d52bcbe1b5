#include "tests/interleave/scheduler.h"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tests/interleave/heap.h"
#include "tests/interleave/trace.h"

namespace igor::interleave {
namespace {

Scheduler* running = nullptr;
uint32_t executions = 0;
// Stacks are used again by the executions that follow.
Fiber outside;
std::array<Fiber, kMostThreads> fibers;

}  // namespace

Scheduler* Scheduler::current() noexcept {
  return running;
}

uint32_t Scheduler::execution() noexcept {
  return executions;
}

// --- an execution --------------------------------------------------------------------------------------

std::optional<Violation> Scheduler::run(const Body& scenario, Strategy& strategy, bool verbose) {
  ++executions;
  strategy_ = &strategy;
  verbose_ = verbose;
  threads_.clear();
  threads_.reserve(kMostThreads);
  next_ = {};
  schedule_.clear();
  violation_.reset();
  clock_ = TimePoint(std::chrono::hours(1));
  objects_ = 0;
  hurried_ = 0;
  timer_queue_.clear();
  timer_thread_ = kNobody;
  descriptors_.clear();

  running = this;
  current_ = spawn("main", scenario);
  strategy_->choose({only(current_), 0, current_, next_});
  schedule_.push_back(current_);
  Fiber::change(outside, fibers[current_]);
  running = nullptr;

  threads_.clear();
  timer_queue_.clear();
  if (!violation_ && settings_.count_leaks && heap::live() != 0) {
    violation_ = Violation{std::to_string(heap::live()) + " blocks of memory were not freed", schedule_};
  }
  if (violation_ || heap::live() != 0) heap::forget();
  heap::settle();
  return std::move(violation_);
}

ThreadId Scheduler::spawn(std::string name, Body body) {
  const heap::Unwatched unwatched;
  if (threads_.size() == kMostThreads) {
    std::fprintf(stderr, "interleave: more than %zu threads\n", kMostThreads);
    std::abort();
  }
  const auto id = static_cast<ThreadId>(threads_.size());
  Thread& thread = threads_.emplace_back();
  thread.name = std::move(name);
  thread.body = std::move(body);
  next_[id] = {Kind::Begin, 0};
  fibers[id].prepare(&Scheduler::enter);
  if (id != 0) strategy_->ordered(current_, id);
  return id;
}

// Where every fiber begins; it never returns.
void Scheduler::enter() {
  Fiber::arrived();
  Scheduler& self = *running;
  const ThreadId id = self.current_;
  if (self.verbose_) self.print();
  heap::watch(true);
  try {
    self.threads_[id].body();
  } catch (const std::exception& exception) {
    self.fail(std::string("an exception that nobody caught: ") + exception.what());
  }
  self.threads_[id].body = nullptr;
  heap::watch(false);
  self.finish(id);
  self.yield();
  std::abort();
}

void Scheduler::finish(ThreadId id) {
  threads_[id].status = Status::Ended;
  if (verbose_) std::fprintf(stderr, "        %-12s ends\n", threads_[id].name.c_str());
}

// Lets whoever is to go on do so; returns when that is the calling thread.
void Scheduler::yield() {
  const ThreadId self = current_;
  const ThreadId chosen = pick();
  if (chosen == kNobody) {
    Fiber::change(fibers[self], outside, true);
  } else if (chosen != self) {
    current_ = chosen;
    Fiber::change(fibers[self], fibers[chosen], threads_[self].status == Status::Ended);
  }
  if (verbose_) print();
}

bool Scheduler::ended(ThreadId thread) const noexcept {
  if (thread != kOthers) return threads_[thread].status == Status::Ended;
  return std::count_if(threads_.begin(), threads_.end(),
                       [](const Thread& one) { return one.status != Status::Ended && !one.timers; }) == 1;
}

bool Scheduler::enabled(ThreadId id, bool& timed) const {
  const Thread& thread = threads_[id];
  switch (thread.status) {
    case Status::Ended:
      return false;
    case Status::Asleep:
      timed = true;
      return near(thread.timers ? (timer_queue_.empty() ? kNever : timer_queue_.begin()->first) : thread.deadline);
    case Status::Ready:
      break;
  }
  switch (next_[id].kind) {
    case Kind::Lock:
      return thread.wants->owner == kNobody && thread.wants->readers == 0;
    case Kind::LockShared:
      return thread.wants->owner == kNobody;
    case Kind::Join:
      return ended(thread.joins);
    case Kind::Poll: {
      pollfd entry{thread.fd, POLLIN, 0};
      return ::poll(&entry, 1, 0) == 1;
    }
    default:
      return true;
  }
}

// Nobody can go on but by a deadline that is far off: whose is the first.
std::optional<ThreadId> Scheduler::stalled(TimePoint& deadline) const {
  std::optional<ThreadId> first;
  deadline = kNever;
  for (ThreadId id = 0; id < threads_.size(); ++id) {
    const Thread& thread = threads_[id];
    if (thread.status != Status::Asleep) continue;
    const TimePoint at =
        thread.timers ? (timer_queue_.empty() ? kNever : timer_queue_.begin()->first) : thread.deadline;
    if (at < deadline) deadline = at, first = id;
  }
  return first;
}

ThreadId Scheduler::pick() {
  ThreadSet can = 0, timed = 0;
  bool all_ended = true;
  for (ThreadId id = 0; id < threads_.size(); ++id) {
    bool by_time = false;
    if (enabled(id, by_time)) {
      can |= only(id);
      if (by_time) timed |= only(id);
    }
    const Thread& thread = threads_[id];
    all_ended = all_ended && (thread.status == Status::Ended || (thread.timers && thread.status == Status::Asleep));
  }
  if (can == 0 && all_ended) return kNobody;
  if (can == 0) {
    TimePoint deadline;
    const auto first = stalled(deadline);
    if (!first) fail("deadlock or lost wake-up: nobody can go on" + who_waits());
    if (!settings_.may_stall) {
      fail("stalled: nobody can go on before a deadline " +
           std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock_).count()) +
           " ms away" + who_waits());
    }
    can = timed = only(*first);
  }
  const auto ready = static_cast<ThreadSet>(can & ~timed);
  if (ready != 0 && hurried_ >= settings_.hurries) can = ready, timed = 0;
  if (schedule_.size() >= kMostSteps) fail("no end after " + std::to_string(kMostSteps) + " steps");
  const ThreadId chosen = strategy_->choose({can, timed, current_, next_});
  schedule_.push_back(chosen);
  if (ready != 0 && (timed & only(chosen)) != 0) ++hurried_;
  taken(chosen);
  return chosen;
}

// The thread's next step is being taken.
void Scheduler::taken(ThreadId id) {
  Thread& thread = threads_[id];
  if (thread.status != Status::Asleep) return;
  clock_ = std::max(clock_, thread.timers ? timer_queue_.begin()->first : thread.deadline);
  thread.status = Status::Ready;
  thread.timed_out = true;
}

void Scheduler::fail(std::string what) {
  heap::watch(false);
  violation_ = Violation{std::move(what), schedule_};
  Fiber::change(fibers[current_], outside, true);
  std::abort();
}

std::string Scheduler::who_waits() const {
  std::string text;
  for (ThreadId id = 0; id < threads_.size(); ++id) {
    const Thread& thread = threads_[id];
    if (thread.status == Status::Ended || (thread.timers && thread.status == Status::Asleep)) continue;
    text += "\n    " + thread.name + ": " + describe(next_[id]);
    if (thread.status == Status::Asleep) text += ", asleep";
    if (thread.joins < threads_.size()) text += " " + threads_[thread.joins].name;
  }
  return text;
}

// The step that the calling thread is taking.
void Scheduler::print() const {
  std::fprintf(stderr, "%6zu  %-12s %-22s %s\n", schedule_.size(), threads_[current_].name.c_str(),
               describe(next_[current_]).c_str(), here().c_str());
}

void Scheduler::say(const std::string& what) {
  const heap::Unwatched unwatched;
  if (verbose_) std::fprintf(stderr, "        %-12s   %s\n", threads_[current_].name.c_str(), what.c_str());
}

// --- steps ---------------------------------------------------------------------------------------------

ObjectId Object::touch(bool* fresh) const noexcept {
  Scheduler& scheduler = *Scheduler::current();
  if (mark_ != kAlive) scheduler.fail("an object is used after it was destroyed");
  if (fresh != nullptr) *fresh = execution_ != Scheduler::execution();
  if (execution_ != Scheduler::execution()) {
    execution_ = Scheduler::execution();
    id_ = scheduler.new_object();
  }
  return id_;
}

Object::~Object() {
  if (Scheduler* const scheduler = Scheduler::current(); scheduler != nullptr) {
    if (mark_ != kAlive) scheduler->fail("an object is destroyed twice");
    if (execution_ == Scheduler::execution()) scheduler->destroyed(id_);
  }
  // Volatile: nobody may look at it any more, but for touch(), and that is the point.
  *const_cast<volatile uint32_t*>(&mark_) = 0;
}

void Scheduler::destroyed(ObjectId object) {
  const heap::Unwatched unwatched;
  if (settings_.reference_counts) strategy_->destroyed(current_, object);
}

void Scheduler::step(Kind kind, const Object& object) {
  const heap::Unwatched unwatched;
  next_[current_] = {kind, object.touch()};
  yield();
  object.touch();  // others may have destroyed it before the step came
}

void Scheduler::count_step(Kind kind, const Object& object) {
  if (settings_.reference_counts) {
    step(kind, object);
  } else {
    object.touch();
  }
}

LockState& Scheduler::known(LockState& state) {
  bool fresh;
  state.object.touch(&fresh);
  if (fresh) state.owner = kNobody, state.readers = 0;  // what an execution that was cut short has left
  return state;
}

void Scheduler::lock(LockState& state, bool shared) {
  const heap::Unwatched unwatched;
  if (known(state).owner == current_) fail("a lock is taken twice by one thread");
  next_[current_] = {shared ? Kind::LockShared : Kind::Lock, state.object.touch()};
  threads_[current_].wants = &state;
  yield();
  state.object.touch();
  threads_[current_].wants = nullptr;
  if (shared) {
    ++state.readers;
  } else {
    state.owner = current_;
  }
}

void Scheduler::unlock(LockState& state, bool shared) {
  const heap::Unwatched unwatched;
  const ObjectId id = state.object.touch();
  if (shared ? state.readers == 0 : state.owner != current_) fail("a lock is let go by a thread that does not hold it");
  if (shared) {
    --state.readers;
  } else {
    state.owner = kNobody;
  }
  strategy_->released(current_, id, shared);
}

// Until roused; false at the deadline.
bool Scheduler::fall_asleep(const Operation& on, TimePoint deadline) {
  Thread& thread = threads_[current_];
  thread.status = Status::Asleep;
  thread.deadline = deadline;
  thread.timed_out = false;
  thread.asleep_since = ++sleeps_;
  next_[current_] = {Kind::Timeout, on.object};
  yield();
  return !threads_[current_].timed_out;
}

bool Scheduler::rouse(ObjectId object, bool all) {
  bool any = false;
  for (;;) {
    ThreadId first = kNobody;
    for (ThreadId id = 0; id < threads_.size(); ++id) {
      const Thread& thread = threads_[id];
      if (thread.status != Status::Asleep || thread.timers || next_[id].object != object) continue;
      if (first == kNobody || thread.asleep_since < threads_[first].asleep_since) first = id;
    }
    if (first == kNobody) return any;
    threads_[first].status = Status::Ready;
    next_[first] = {Kind::Resume, 0};
    strategy_->ordered(current_, first);
    any = true;
    if (!all) return true;
  }
}

void Scheduler::sleep(const Object& word, const uint32_t& value, uint32_t expected, TimePoint deadline) {
  const heap::Unwatched unwatched;
  step(Kind::Sleep, word);
  if (value == expected) fall_asleep(next_[current_], deadline);
}

void Scheduler::wake(const Object& word) {
  const heap::Unwatched unwatched;
  step(Kind::Wake, word);
  rouse(next_[current_].object, true);
}

bool Scheduler::wait(Object& condition, LockState& state, TimePoint deadline) {
  const heap::Unwatched unwatched;
  step(Kind::Wait, condition);
  const Operation on = next_[current_];
  unlock(state, false);
  const bool roused = fall_asleep(on, deadline);
  lock(state, false);
  return roused;
}

void Scheduler::notify(Object& condition, bool all) {
  const heap::Unwatched unwatched;
  step(Kind::Notify, condition);
  rouse(next_[current_].object, all);
}

void Scheduler::join(ThreadId thread) {
  const heap::Unwatched unwatched;
  next_[current_] = {Kind::Join, 0};
  threads_[current_].joins = thread;
  yield();
  threads_[current_].joins = kNobody;
  if (thread != kOthers) strategy_->ordered(thread, current_);
}

void Scheduler::join_others() {
  join(kOthers);
  for (ThreadId id = 0; id < threads_.size(); ++id) {
    if (id != current_ && !threads_[id].timers) strategy_->ordered(id, current_);
  }
}

// --- timers and descriptors ------------------------------------------------------------------------------

uint64_t Scheduler::set_timer(TimePoint at, Body function) {
  if (timer_thread_ == kNobody) {
    timer_thread_ = spawn("timers", [this] { run_timers(); });
    threads_[timer_thread_].timers = true;
    threads_[timer_thread_].status = Status::Asleep;
    next_[timer_thread_] = {Kind::Fire, timers_.touch()};
  }
  step(Kind::Timers, timers_);
  const heap::Unwatched unwatched;
  const uint64_t id = ++last_timer_;
  timer_queue_.emplace(at, std::make_pair(id, std::move(function)));
  return id;
}

void Scheduler::cancel_timer(uint64_t id) {
  if (timer_thread_ == kNobody) return;
  step(Kind::Timers, timers_);
  Body dropped;  // its captures own things: destroyed as what the thread does
  const auto place = std::find_if(timer_queue_.begin(), timer_queue_.end(),
                                  [&](const auto& entry) { return entry.second.first == id; });
  if (place == timer_queue_.end()) return;
  dropped.swap(place->second.second);
  timer_queue_.erase(place);
}

// On the timers' thread: one after the other, as their time comes.
void Scheduler::run_timers() {
  for (;;) {
    Body function = std::move(timer_queue_.begin()->second.second);
    timer_queue_.erase(timer_queue_.begin());
    function();
    function = nullptr;
    const heap::Unwatched unwatched;
    threads_[current_].status = Status::Asleep;
    next_[current_] = {Kind::Fire, timers_.touch()};
    yield();
  }
}

void Scheduler::poll(int fd) {
  const heap::Unwatched unwatched;
  auto& object = descriptors_[fd];
  if (!object) object = std::make_unique<Object>();
  next_[current_] = {Kind::Poll, object->touch()};
  threads_[current_].fd = fd;
  yield();
}

void Scheduler::edge(int fd) {
  const heap::Unwatched unwatched;
  auto& object = descriptors_[fd];
  if (!object) object = std::make_unique<Object>();
  step(Kind::Edge, *object);
}

// --- the primitives' way in --------------------------------------------------------------------------------

void step(Kind kind, const Object& object) noexcept {
  if (running != nullptr) running->step(kind, object);
}
void count_step(Kind kind, const Object& object) noexcept {
  if (running != nullptr) running->count_step(kind, object);
}
void lock(LockState& state, bool shared) noexcept {
  if (running != nullptr) running->lock(state, shared);
}
void unlock(LockState& state, bool shared) noexcept {
  if (running != nullptr) running->unlock(state, shared);
}
bool wait(Object& condition, LockState& state, TimePoint deadline) noexcept {
  return running != nullptr && running->wait(condition, state, deadline);
}
void notify(Object& condition, bool all) noexcept {
  if (running != nullptr) running->notify(condition, all);
}
void sleep(const Object& word, const uint32_t& value, uint32_t expected, TimePoint deadline) noexcept {
  if (running != nullptr) running->sleep(word, value, expected, deadline);
}
void wake(const Object& word) noexcept {
  if (running != nullptr) running->wake(word);
}

}  // namespace igor::interleave
