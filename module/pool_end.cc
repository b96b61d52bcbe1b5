// The part of a pool that is its ends: threads that are told to stop, pressed and given up, tasks that are refused or
// failed for it, and the drain of the whole pool.
#include <algorithm>

#include "module/log.h"
#include "module/pool.h"
#include "module/timers.h"

namespace igor {

void Pool::stop_slot(Lock& lock, WorkerSlot& slot, WorkerSlot::Stop why) {
  const WorkerSlot::Stop before = slot.stop_.load(std::memory_order_relaxed);
  if (draining() || before >= why) return;
  switch (slot.state_) {
    case WorkerSlot::State::Stopped:
    case WorkerSlot::State::Lost:
      return;
    case WorkerSlot::State::Restarting:
      if (why != WorkerSlot::Stop::Retire) return;  // it is about to start afresh
      break;
    case WorkerSlot::State::Starting:
    case WorkerSlot::State::Ready:
      break;
  }
  tell_to_stop(lock, slot, why);
  if (before != WorkerSlot::Stop::None) return;  // its grace runs already
  press_slot_at(lock, after(now(), options_.stop_grace), slot, kPresses);
}

void Pool::tell_to_stop(Lock& lock, WorkerSlot& slot, WorkerSlot::Stop why) {
  slot.stop_.store(why, std::memory_order_release);
  dispatch_.leave(lock, slot);
  slot.wakeup_.set_level(true);
  slot.wakeup_.notify();
  for (Task* task = slot.running_; task != nullptr; task = task->next_) task->wake_worker();
  arm_reoffer(lock);
}

void Pool::overdue(WorkerSlot& slot, const Task& task) {
  Lock lock(mutex_);
  look_later(lock, slot, {task.id(), slot.runs_, slot.asked_, kOverdueGrace});
}

// Keeps nothing alive: most have let go long before, and the task's payload and descriptor are gone then.
void Pool::look_later(const Lock&, WorkerSlot& slot, Overdue overdue) {
  Timers::global().schedule(after(now(), overdue.wait), [pool = weak_from_this(), &slot, overdue] {
    if (const auto self = pool.lock()) self->look_at_overdue(slot, overdue);
  });
}

// On the timer's thread.
void Pool::look_at_overdue(WorkerSlot& slot, Overdue overdue) {
  constexpr Duration kSeldom = std::chrono::seconds(5);
  Lock lock(mutex_);
  const Task* task = slot.running_;
  while (task != nullptr && task->id() != overdue.task) task = task->next_;
  if (draining() || slot.runs_ != overdue.run || task == nullptr || slot.state_ != WorkerSlot::State::Ready) return;
  const bool about_to_claim = slot.offered_ && now() - slot.offered_at_ < kOverdueGrace;
  if (slot.asked_ != overdue.asked || slot.idle_ || slot.parked_ || about_to_claim) {
    // It serves others, or waits. But what it still holds may yet be what it gets stuck in.
    overdue.wait = std::min(2 * overdue.wait, kSeldom);
    overdue.asked = slot.asked_;
    look_later(lock, slot, overdue);
    return;
  }
  slot.overdue_task_ = overdue.task;
  stop_pressing(lock, slot);  // at the end of a grace that is too long now
  tell_to_stop(lock, slot, std::max(slot.stop_.load(std::memory_order_relaxed), WorkerSlot::Stop::Overdue));
  lock.unlock();
  press_slot(slot, overdue.run, kPresses);
}

void Pool::press_slot_at(const Lock&, TimePoint at, WorkerSlot& slot, int left) {
  slot.press_timer_ = Timers::global().schedule(
      at, [self = shared_from_this(), &slot, run = slot.runs_, left] { self->press_slot(slot, run, left); });
}

// The timer holds the pool: without a script to press on it must not for as long as a grace may be.
void Pool::stop_pressing(const Lock&, WorkerSlot& slot) {
  if (slot.press_timer_ != 0) Timers::global().cancel(slot.press_timer_);
  slot.press_timer_ = 0;
}

// On the timer's thread: interrupts a script that did not stop within its grace, again and again, because a
// single nudge can fall between two system calls; then gives it up. By the number of presses, not by the clock: while a
// machine stands still the script has no time to end either.
void Pool::press_slot(WorkerSlot& slot, uint64_t run, int left) {
  Lock lock(mutex_);
  const bool runs = slot.state_ == WorkerSlot::State::Starting || slot.state_ == WorkerSlot::State::Ready;
  if (draining() || slot.runs_ != run || !runs) return;
  if (left == 0) {
    give_up(lock, slot);
    return;
  }
  interrupt(lock, slot);
  if (slot.runs_ != run || slot.state_ == WorkerSlot::State::Stopped) return;  // ended meanwhile
  press_slot_at(lock, after(now(), kPressEvery), slot, left - 1);
}

// The host may take locks of its own, and must not be gone before it returns: see all_ended().
void Pool::interrupt(Lock& lock, WorkerSlot& slot) {
  ++interrupting_;
  lock.unlock();
  host_.interrupt(slot);
  lock.lock();
  if (--interrupting_ == 0) life_.notify_all();
}

// Leaves the thread behind; what it held is to fail, by fail_lost().
void Pool::lose(const Lock& lock, WorkerSlot& slot) {
  drop_trial(lock, slot);
  stop_pressing(lock, slot);
  slot.state_ = WorkerSlot::State::Lost;
  slot.since_ = now();
  slot.thread_.abandon();
  dispatch_.leave(lock, slot);
  counters_->crashes.fetch_add(1, std::memory_order_relaxed);
}

// The tasks stay in the slot's list, because the script may yet let go of them: each round ends one.
void Pool::fail_lost(Lock& lock, WorkerSlot& slot) {
  for (;;) {
    Task* next = slot.running_;
    while (next != nullptr && next->ended()) next = next->next_;
    if (next == nullptr) return;
    const Ref<Task> task(next);
    lock.unlock();
    task->fail(Failure(Reason::WorkerLost, {title(), " could not be stopped"}));
    lock.lock();
  }
}

// A thread that does not stop is left behind, and another started in its place.
void Pool::give_up(Lock& lock, WorkerSlot& slot) {
  const bool replaced = slot.stop_.load(std::memory_order_relaxed) != WorkerSlot::Stop::Retire && !relieved();
  lose(lock, slot);
  TaskList queued;
  std::string error;
  if (replaced) {
    if (spawn(lock, error)) {
      counters_->restarts_crashed.fetch_add(1, std::memory_order_relaxed);
    } else if (staying(lock) == 0) {
      queued = give_up_queue(lock);
    }
  }
  life_.notify_all();
  fail_lost(lock, slot);
  lock.unlock();
  fail_all(std::move(queued), Failure(Reason::WorkerLost, {error}));
  LogQueue::global().push([&] {
    LogRecord record;
    record.logger = "worker";
    record.level = kLogError;
    record.message = "worker could not be stopped, its thread is left behind";
    record.fields = {{"worker", options_.name}, {"thread", slot.label()}, {"script", options_.file}};
    if (!error.empty()) record.fields.emplace_back("error", error);
    return record;
  });
  lock.lock();
}

// No thread is left and none can be started (no_thread_ says why): those who wait are told, what is queued is
// returned, to fail.
TaskList Pool::give_up_queue(const Lock& lock) {
  refuse_waiting(lock, SendResult::NoThread);
  return dispatch_.take_all(lock, slots_);
}

void Pool::fail_all(TaskList tasks, const Failure& why) noexcept {
  while (Ref<Task> task = tasks.pop_front()) task->fail(why);
}

void Pool::refuse(const Lock&, Task& task, SendResult why) {
  task.admission_ = Task::Admission::Refused;
  task.refusal_ = static_cast<uint8_t>(why);
  task.sender_wakeup_.notify();
}

void Pool::refuse_waiting(const Lock& lock, SendResult why) {
  while (Task* waiting = dispatch_.mailbox().first_waiting()) {
    const Ref<Task> task = dispatch_.mailbox().erase(*waiting);
    refuse(lock, *task, why);
  }
  ++refusals_;
  last_refusal_ = why;
  snapshots_->changed().notify();
}

// In a circle tasks would go round for ever.
bool Pool::leads_here(const std::shared_ptr<Pool>& pool) const noexcept {
  for (std::shared_ptr<Pool> one = pool; one; one = one->successor()) {
    if (one.get() == this) return true;
  }
  return false;
}

// Under the lock; for good.
void Pool::relieve(const Lock&, std::shared_ptr<Pool> successor) noexcept {
  successor_ = std::move(successor);
  relieved_.store(true, std::memory_order_release);
}

// What nobody has claimed. Of a relieved pool it is in nobody's list from here on, until pass_on().
TaskList Pool::take_unclaimed(const Lock& lock) noexcept {
  TaskList unclaimed = dispatch_.take_all(lock, slots_);
  if (relieved()) {
    unclaimed.for_each([&](Task& task) { task.holder_.store(successor_.get(), std::memory_order_release); });
    snapshots_->changed().notify();
  }
  return unclaimed;
}

// Without the lock. Where workers were there are workers: what they publish, nobody else does.
void Pool::pass_on(TaskList unclaimed, bool had_workers) noexcept {
  successor_->follows(shared_from_this());
  successor_->take_charge();
  successor_->receive(std::move(unclaimed));
  std::string ignored;  // whoever needs one later is told
  if (had_workers) successor_->ensure_started(ignored);
}

void Pool::hand_over(std::shared_ptr<Pool> successor) noexcept {
  if (!successor || leads_here(successor)) return;
  Lock lock(mutex_);
  if (draining() || relieved()) return;
  const bool had_workers = staying(lock) > 0;
  relieve(lock, std::move(successor));
  TaskList unclaimed = take_unclaimed(lock);
  wake_restarting(lock);  // there is nothing for them to come back for
  lock.unlock();
  pass_on(std::move(unclaimed), had_workers);
}

void Pool::begin_drain(std::shared_ptr<Pool> successor) noexcept {
  if (leads_here(successor)) successor = nullptr;
  Lock lock(mutex_);
  if (draining()) return;
  const bool had_workers = !relieved() && staying(lock) > 0;
  // In this order: whoever sees without the lock that it drains sees in whose favour.
  if (!relieved() && successor) relieve(lock, std::move(successor));
  draining_.store(true, std::memory_order_release);
  drain_began_ = now();
  if (!relieved()) refuse_waiting(lock, SendResult::ShuttingDown);
  TaskList unclaimed = take_unclaimed(lock);
  for (const auto& slot : slots_) {
    slot->wakeup_.set_level(true);
    slot->wakeup_.notify();
    for (Task* task = slot->running_; task != nullptr; task = task->next_) task->wake_worker();
  }
  life_.notify_all();
  lock.unlock();
  if (relieved()) {
    pass_on(std::move(unclaimed), had_workers);
    return;
  }
  fail_all(std::move(unclaimed), Failure(Reason::Shutdown, {title(), " is shutting down"}));
}

size_t Pool::finish_drain() noexcept {
  return finish_drain_all([self = shared_from_this()](auto&& end) { end(self); });
}

size_t Pool::finish_drain(const std::vector<std::shared_ptr<Pool>>& pools) noexcept {
  return finish_drain_all([&](auto&& end) {
    for (const auto& pool : pools) end(pool);
  });
}

bool Pool::all_ended(const Lock&) const noexcept {
  return interrupting_ == 0 && std::all_of(slots_.begin(), slots_.end(), [](const auto& slot) {
           return slot->state_ == WorkerSlot::State::Stopped || slot->state_ == WorkerSlot::State::Lost;
         });
}

void Pool::await_end(TimePoint deadline) noexcept {
  Lock lock(mutex_);
  life_.wait_until(lock, deadline, [&] { return all_ended(lock); });
}

// True when all threads have ended or were given up. Otherwise does what is due, and lowers `next` to
// when it wants to be called again.
bool Pool::press_to_end(TimePoint& next) noexcept {
  Lock lock(mutex_);
  if (all_ended(lock)) return true;
  const TimePoint at = now();
  const TimePoint grace_end = after(drain_began_, options_.stop_grace);
  if (at < grace_end) {
    next = std::min(next, grace_end);
    return false;
  }
  // From the first interrupt, not from the grace's end: a late caller still interrupts before giving up.
  if (give_up_at_ == TimePoint{}) give_up_at_ = after(at, kForceTime);
  if (at < give_up_at_) {
    for (const auto& slot : slots_) {  // no slot is added while draining
      if (slot->state_ == WorkerSlot::State::Stopped || slot->state_ == WorkerSlot::State::Lost) continue;
      interrupt(lock, *slot);
    }
    next = std::min({next, give_up_at_, after(at, kPressEvery)});
    return all_ended(lock);
  }

  for (const auto& slot : slots_) {
    if (slot->state_ == WorkerSlot::State::Stopped || slot->state_ == WorkerSlot::State::Lost) continue;
    lose(lock, *slot);
    fail_lost(lock, *slot);
  }
  life_.notify_all();
  return all_ended(lock);  // not while another thread is inside the host
}

// Does nothing while some have not ended.
size_t Pool::collect_threads() noexcept {
  std::lock_guard one_at_a_time(joining_);
  {
    Lock lock(mutex_);
    if (!all_ended(lock)) return 0;
  }
  size_t lost = 0;
  for (const auto& slot : slots_) {
    {
      Lock lock(mutex_);
      lost += slot->state_ == WorkerSlot::State::Lost;
    }
    slot->thread_.join();  // of a lost one: nothing, it was abandoned
  }
  Lock lock(mutex_);
  collected_ = true;
  if (drain_timer_ != 0) Timers::global().cancel(drain_timer_);
  drain_timer_ = 0;
  return lost;
}

// Presses on the timers' thread, and joins what has ended.
void Pool::finish_drain_later() noexcept {
  {
    Lock lock(mutex_);
    if (collected_) return;
    ends_by_timer_ = true;
  }
  TimePoint next = kNever;
  if (press_to_end(next)) {
    collect_threads();
    return;
  }
  if (next == kNever) return;
  Lock lock(mutex_);
  if (collected_) return;
  if (drain_timer_ != 0) Timers::global().cancel(drain_timer_);
  drain_timer_ = Timers::global().schedule(next, [self = shared_from_this()] { self->finish_drain_later(); });
}

bool Pool::finished() const {
  Lock lock(mutex_);
  return collected_;
}

}  // namespace igor
