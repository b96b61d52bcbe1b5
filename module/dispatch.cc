#include "module/dispatch.h"

#include "module/pool.h"

namespace igor {

void Dispatch::idle_push_front(WorkerSlot& slot) {
  slot.idle_ = true;
  slot.idle_previous_ = nullptr;
  slot.idle_next_ = idle_head_;
  (idle_head_ != nullptr ? idle_head_->idle_previous_ : idle_tail_) = &slot;
  idle_head_ = &slot;
}

void Dispatch::idle_push_back(WorkerSlot& slot) {
  slot.idle_ = true;
  slot.idle_next_ = nullptr;
  slot.idle_previous_ = idle_tail_;
  (idle_tail_ != nullptr ? idle_tail_->idle_next_ : idle_head_) = &slot;
  idle_tail_ = &slot;
}

void Dispatch::idle_remove(WorkerSlot& slot) {
  if (!slot.idle_) return;
  (slot.idle_previous_ != nullptr ? slot.idle_previous_->idle_next_ : idle_head_) = slot.idle_next_;
  (slot.idle_next_ != nullptr ? slot.idle_next_->idle_previous_ : idle_tail_) = slot.idle_previous_;
  slot.idle_next_ = slot.idle_previous_ = nullptr;
  slot.idle_ = false;
}

// Of the slots that wait; there is one.
WorkerSlot& Dispatch::pick() const noexcept {
  if (policy_ == DispatchPolicy::RoundRobin) return *idle_tail_;
  WorkerSlot* best = idle_head_;
  if (policy_ == DispatchPolicy::LeastBusy) {
    for (WorkerSlot* slot = best->idle_next_; slot != nullptr; slot = slot->idle_next_) {
      if (slot->running_count_ < best->running_count_) best = slot;
    }
  }
  return *best;
}

void Dispatch::mark_accepted(Task& task) {
  task.admission_ = Task::Admission::Accepted;
  task.pool().count_accepted(task);
}

void Dispatch::accept(Task& task) {
  mark_accepted(task);
  // Its sender sleeps on the same wake-up that tells of updates; it has no stream of its own yet.
  task.sender_wakeup_.notify();
}

void Dispatch::step(Task& task, TaskStep::Kind kind, const WorkerSlot& slot) {
  if (!task.pool().options().steps) return;
  std::lock_guard lock(task.mutex_);
  task.pool().step(task, {kind, &slot, slot.runs()});
}

void Dispatch::offer(WorkerSlot& slot, Ref<Task> task) {
  prepare_offer(slot, std::move(task));
  slot.wakeup_.notify();
}

void Dispatch::prepare_offer(WorkerSlot& slot, Ref<Task> task) {
  idle_remove(slot);
  task->offered_to_ = &slot;
  if (task->admission_ == Task::Admission::Waiting) accept(*task);
  step(*task, TaskStep::Kind::Offered, slot);
  slot.offered_ = std::move(task);
  if (!slot.parked_) {
    ++unsure_offers_;
    slot.offered_at_ = now();
  }
  slot.wakeup_.set_level(true);
}

Ref<Task> Dispatch::unoffer(WorkerSlot& slot) {
  if (!slot.offered_) return nullptr;
  step(*slot.offered_, TaskStep::Kind::Returned, slot);
  slot.offered_->offered_to_ = nullptr;
  if (slot.offered_at_ != TimePoint{}) {
    slot.offered_at_ = {};
    --unsure_offers_;
  }
  slot.wakeup_.set_level(slot.stopping());
  return std::move(slot.offered_);
}

Dispatch::Submitted Dispatch::submit(const Lock&, Task& task, Wakeup** to_notify) {
  if (can_offer()) {
    WorkerSlot& slot = pick();
    mark_accepted(task);
    prepare_offer(slot, Ref<Task>(&task));
    if (to_notify != nullptr) {
      *to_notify = &slot.wakeup_;
    } else {
      slot.wakeup_.notify();
    }
    return Submitted::Offered;
  }
  const bool place = mailbox_.has_free_place();
  if (place) mark_accepted(task);
  mailbox_.push_back(Ref<Task>(&task));
  return place ? Submitted::Queued : Submitted::Waiting;
}

Wakeup* Dispatch::next_to_wake(const Lock&) const noexcept {
  return can_offer() ? &pick().wakeup_ : nullptr;
}

void Dispatch::admit(const Lock&) {
  while (Task* task = mailbox_.accept_next()) {
    task->pool().count_accepted(*task);
    task->sender_wakeup_.notify();
  }
}

bool Dispatch::ask(const Lock& lock, WorkerSlot& slot) {
  if (slot.offered_) return true;
  if (slot.spent_) return false;  // until it has ended what it holds and starts afresh
  if (Ref<Task> oldest = paused_ ? nullptr : mailbox_.pop_front()) {
    offer(slot, std::move(oldest));
    admit(lock);
    return true;
  }
  if (!slot.idle_) idle_push_front(slot);
  return false;
}

Ref<Task> Dispatch::take(const Lock& lock, WorkerSlot& slot) {
  idle_remove(slot);
  if (Ref<Task> task = unoffer(slot)) return task;
  Ref<Task> task = slot.spent_ || paused_ ? nullptr : mailbox_.pop_front();
  if (!task) return nullptr;
  if (task->admission_ == Task::Admission::Waiting) accept(*task);
  admit(lock);
  return task;
}

void Dispatch::unpark(const Lock&, WorkerSlot& slot) {
  if (!slot.offered_ || slot.offered_at_ != TimePoint{}) return;
  ++unsure_offers_;
  slot.offered_at_ = now();
}

void Dispatch::leave(const Lock&, WorkerSlot& slot) {
  idle_remove(slot);
  Ref<Task> task = unoffer(slot);
  if (!task) return;
  if (can_offer()) {
    offer(pick(), std::move(task));
  } else {
    mailbox_.put_back(std::move(task));
  }
}

bool Dispatch::withdraw(const Lock& lock, Task& task) {
  if (WorkerSlot* slot = task.offered_to_) {
    unoffer(*slot);
    // It asked, and has got nothing: it still waits.
    ask(lock, *slot);
    return true;
  }
  const bool was_here = static_cast<bool>(mailbox_.erase(task));
  if (was_here) admit(lock);
  return was_here;
}

TaskList Dispatch::take_all(const Lock&, const Slots& slots) noexcept {
  for (const auto& slot : slots) {
    if (Ref<Task> task = unoffer(*slot)) mailbox_.put_back(std::move(task));
  }
  TaskList tasks;
  while (Ref<Task> task = mailbox_.pop_front()) tasks.push_back(std::move(task));
  return tasks;
}

size_t Dispatch::enlist(const Lock&, TaskList tasks) noexcept {
  Task* const own = mailbox_.first();
  Task* const own_waiting = mailbox_.first_waiting();
  size_t left = 0;
  while (Ref<Task> task = tasks.pop_front()) {
    if (can_offer()) {
      offer(pick(), std::move(task));
      continue;
    }
    ++left;
    if (task->admission_ == Task::Admission::Accepted) {
      mailbox_.insert_before(own, std::move(task));
    } else {
      if (mailbox_.has_free_place()) accept(*task);
      mailbox_.insert_before(own_waiting, std::move(task));
    }
  }
  return left;
}

void Dispatch::pause(const Lock& lock, const Slots& slots) noexcept {
  paused_ = true;
  for (const auto& slot : slots) {
    Ref<Task> task = unoffer(*slot);
    if (!task) continue;
    mailbox_.put_back(std::move(task));
    ask(lock, *slot);  // it had asked, so it waits
  }
}

void Dispatch::resume(const Lock& lock) noexcept {
  paused_ = false;
  while (can_offer()) {
    Ref<Task> oldest = mailbox_.pop_front();
    if (!oldest) break;
    offer(pick(), std::move(oldest));
  }
  admit(lock);
}

void Dispatch::reoffer(const Lock&, const Slots& slots, TimePoint at) {
  for (const auto& slot : slots) {
    if (!can_offer() || unsure_offers_ == 0) return;
    if (!slot->offered_ || slot->offered_at_ == TimePoint{} || at - slot->offered_at_ < kClaimTime) continue;
    Ref<Task> task = unoffer(*slot);
    offer(pick(), std::move(task));
    // It had asked, so it waits; but it is the last that the next task should be offered to.
    if (policy_ == DispatchPolicy::RoundRobin) {
      idle_push_front(*slot);
    } else {
      idle_push_back(*slot);
    }
  }
}

}  // namespace igor
