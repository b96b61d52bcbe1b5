#include "module/task.h"

#include "module/pool.h"
#include "module/sync.h"
#include "module/timers.h"
#include "module/worker_slot.h"

namespace igor {
namespace {
Atomic<uint64_t> last_id{0};
}

Task::Task(std::shared_ptr<Pool> pool, Payload payload, uint32_t max_updates, Ref<const Origin> origin)
    : pool_(std::move(pool)),
      id_(last_id.fetch_add(1, std::memory_order_relaxed) + 1),
      created_(now()),
      payload_size_(payload.size()),
      origin_(std::move(origin)),
      holder_(pool_.get()),
      updates_(max_updates),
      payload_(std::move(payload)) {}

Task::~Task() = default;

bool Task::end(std::unique_lock<Mutex>& lock, TaskState state) noexcept {
  if (ended()) {
    lock.unlock();
    return false;
  }
  // Counted before it can be seen: nobody finds an ended task that the counters do not know of.
  if (counted_) pool_->count_end(*this, state);
  state_.store(state, std::memory_order_release);
  slot_ = nullptr;
  sender_wakeup_.set_level(true);
  worker_wakeup_.set_level(true);
  if (watcher_ != nullptr) watcher_->notify();
  const uint64_t timer = deadline_timer_;
  deadline_timer_ = 0;
  lock.unlock();
  sender_wakeup_.notify();
  worker_wakeup_.notify();
  if (timer != 0) Timers::global().cancel(timer);
  return true;
}

Task::ReadResult Task::read(Payload& update, TimePoint deadline, Interrupt* interrupt) noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!updates_.empty()) {
      const bool was_full = updates_.full();
      update = updates_.pop();
      if (updates_.empty() && !ended()) sender_wakeup_.set_level(false);
      pool_->step(*this, {TaskStep::Kind::Read});
      lock.unlock();
      if (was_full) worker_wakeup_.notify();
      return ReadResult::Update;
    }
    if (ended()) return state() == TaskState::Completed ? ReadResult::Completed : ReadResult::Failed;
    if (interrupted(interrupt)) return ReadResult::Interrupted;
    if (deadline != kNever && now() >= deadline) return ReadResult::TimedOut;
    const Wakeup::Ticket ticket = sender_wakeup_.ticket();
    lock.unlock();
    sender_wakeup_.wait(ticket, deadline, interrupt);
    lock.lock();
  }
}

bool Task::readable() {
  std::lock_guard lock(mutex_);
  return !updates_.empty() || ended();
}

bool Task::drained() {
  std::lock_guard lock(mutex_);
  return updates_.empty() && ended();
}

int Task::sender_fd() {
  std::lock_guard lock(mutex_);
  return sender_wakeup_.fd(!updates_.empty() || ended());
}

void Task::watch(Wakeup* group) {
  std::lock_guard lock(mutex_);
  watcher_ = group;
}

void Task::sender_before_poll() {
  std::unique_lock lock(mutex_);
  if (!updates_.empty() || ended()) return;
  const Wakeup::Ticket ticket = sender_wakeup_.ticket();
  lock.unlock();
  sender_wakeup_.spin_before_poll(ticket);
}

int Task::worker_fd() {
  std::lock_guard lock(mutex_);
  return worker_wakeup_.fd(ended());
}

void Task::cancel() noexcept {
  std::unique_lock lock(mutex_);
  if (!ended()) {
    failure_.reason = Reason::Abandoned;
    failure_.explain({"cancelled by its sender"});
  }
  updates_.clear();  // what the sender will never read is freed now, not when the worker lets go
  const bool was_pending = state() == TaskState::Pending;
  const bool first = end(lock, TaskState::Cancelled);
  if (first && was_pending) Pool::withdraw(*this);
}

bool Task::cancel(std::string_view reason) noexcept {
  std::unique_lock lock(mutex_);
  if (!ended()) {
    failure_.reason = Reason::Abandoned;
    failure_.explain({reason});
  }
  const bool was_pending = state() == TaskState::Pending;
  const bool first = end(lock, TaskState::Cancelled);
  if (first && was_pending) Pool::withdraw(*this);
  return first;
}

Task::UpdateResult Task::update(Payload update, Interrupt* interrupt) noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    // Before the conditions, not after: draining is not under this lock, so its notification may come
    // between a look at it and a later ticket, and would be slept through.
    const Wakeup::Ticket ticket = worker_wakeup_.ticket();
    if (ended() || end_if_late(lock)) return UpdateResult::Closed;
    if (!updates_.full()) break;
    if (slot_ != nullptr && slot_->stopping()) return UpdateResult::Draining;
    if (interrupted(interrupt)) return UpdateResult::Interrupted;
    lock.unlock();
    worker_wakeup_.wait(ticket, kNever, interrupt);
    lock.lock();
  }
  updates_.push(std::move(update));
  pool_->step(*this, {TaskStep::Kind::Updated});
  sender_wakeup_.set_level(true);
  if (watcher_ != nullptr) watcher_->notify();
  lock.unlock();
  sender_wakeup_.notify();
  pool_->counters().updates.fetch_add(1, std::memory_order_relaxed);
  return UpdateResult::Sent;
}

bool Task::complete(Payload result) noexcept {
  std::unique_lock lock(mutex_);
  if (end_if_late(lock)) return false;
  if (!ended()) result_ = std::move(result);
  return end(lock, TaskState::Completed);
}

bool Task::closed() noexcept {
  std::unique_lock lock(mutex_);
  return ended() || end_if_late(lock);
}

// The timer comes for those whose worker does not look, and under load it comes late.
bool Task::end_if_late(std::unique_lock<Mutex>& lock) noexcept {
  if (deadline_ == TimePoint{} || ended() || now() < deadline_) return false;
  end_late(lock);
  return true;
}

bool Task::end_late(std::unique_lock<Mutex>& lock) noexcept {
  if (!ended()) {
    failure_.reason = Reason::Deadline;
    failure_.explain({"the task's time ran out"});
  }
  WorkerSlot* const slot = slot_;
  const bool first = end(lock, TaskState::TimedOut);
  if (first && slot != nullptr) slot->pool().overdue(*slot, *this);  // its worker may go on with it all the same
  return first;
}

bool Task::fail(Failure failure) noexcept {
  std::unique_lock lock(mutex_);
  if (!ended()) failure_ = std::move(failure);
  return end(lock, TaskState::Failed);
}

bool Task::time_out() noexcept {
  std::unique_lock lock(mutex_);
  deadline_timer_ = 0;  // it is what called
  const bool was_pending = state() == TaskState::Pending;
  const bool first = end_late(lock);
  if (first && was_pending) Pool::withdraw(*this);
  return first;
}

bool Task::start(WorkerSlot& slot) {
  std::unique_lock lock(mutex_);
  if (state() != TaskState::Pending || end_if_late(lock)) return false;
  state_.store(TaskState::Running, std::memory_order_release);
  slot_ = &slot;
  pool_->count_start(*this);
  pool_->step(*this, {TaskStep::Kind::Claimed, &slot, slot.runs()});
  return true;
}

}  // namespace igor
