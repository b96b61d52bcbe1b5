#include "module/worker_slot.h"

#include "module/activity.h"
#include "module/pool.h"
#include "module/text.h"

namespace igor {

const PoolOptions& WorkerSlot::options() const noexcept {
  return pool_.options();
}

std::string WorkerSlot::label() const {
  return options().name + " #" + std::to_string(index_);
}

bool WorkerSlot::stopping() const noexcept {
  return pool_.draining() || stop_.load(std::memory_order_acquire) != Stop::None;
}

void WorkerSlot::stop(Stop why) {
  Dispatch::Lock lock(pool_.mutex_);
  pool_.stop_slot(lock, *this, why);
}

void WorkerSlot::ready() {
  Dispatch::Lock lock(pool_.mutex_);
  pool_.became_ready(lock, *this);
}

void WorkerSlot::handled(Duration waited, Duration took) {
  Counters& counters = pool_.counters();
  counters.requests.fetch_add(1, std::memory_order_relaxed);
  counters.wait.record(waited);
  counters.run.record(took);
  counters.total.record(waited + took);
  Dispatch::Lock lock(pool_.mutex_);
  took_task_ = true;
  spend(lock);
  pool_.task_completed(lock);
}

void WorkerSlot::set_activity(std::initializer_list<std::string_view> what, TimePoint at) noexcept {
  std::lock_guard lock(activity_mutex_);
  put_text(activity_, what, {});
  activity_since_ = at;
}

void WorkerSlot::memory_held(uint64_t bytes) {
  memory_.store(bytes, std::memory_order_relaxed);
  if (options().max_memory == 0 || bytes <= options().max_memory) return;
  Dispatch::Lock lock(pool_.mutex_);
  spent_ = true;
  recycle_if_spent(lock);
}

void WorkerSlot::spend(Dispatch::Lock& lock) {
  ++taken_;
  ++handled_;
  if (options().max_tasks != 0 && taken_ >= options().max_tasks) spent_ = true;
  recycle_if_spent(lock);
}

// Not while it holds a task: that may take longer than the grace of a stop.
void WorkerSlot::recycle_if_spent(Dispatch::Lock& lock) {
  if (spent_ && running_ == nullptr) pool_.stop_slot(lock, *this, Stop::Recycle);
}

WorkerSlot::Signal WorkerSlot::poll_signal() {
  activity::idle_end();
  Dispatch::Lock lock(pool_.mutex_);
  alive(lock);
  pool_.became_ready(lock, *this);
  if (stopping()) return Signal::Stop;
  if (pool_.dispatch_.ask(lock, *this)) return Signal::Task;
  pool_.arm_reoffer(lock);
  return Signal::None;
}

WorkerSlot::Signal WorkerSlot::wait_signal(TimePoint deadline, Interrupt* interrupt, bool claims_at_once) {
  activity::idle_end();
  Dispatch::Lock lock(pool_.mutex_);
  alive(lock);
  pool_.became_ready(lock, *this);
  for (;;) {
    if (stopping()) return Signal::Stop;
    if (pool_.dispatch_.ask(lock, *this)) {
      if (!claims_at_once) {
        pool_.dispatch_.unpark(lock, *this);
        pool_.arm_reoffer(lock);
      }
      return Signal::Task;
    }
    if (interrupted(interrupt)) return Signal::Interrupted;
    if (deadline != kNever && now() >= deadline) return Signal::None;
    pool_.arm_reoffer(lock);
    const Wakeup::Ticket ticket = wakeup_.ticket();
    parked_ = true;
    lock.unlock();
    wakeup_.wait(ticket, deadline, interrupt);
    lock.lock();
    parked_ = false;
  }
}

Ref<Task> WorkerSlot::claim() {
  activity::idle_end();
  Dispatch::Lock lock(pool_.mutex_);
  alive(lock);
  pool_.became_ready(lock, *this);
  if (stopping()) return nullptr;
  while (Ref<Task> task = pool_.dispatch_.take(lock, *this)) {
    if (!task->start(*this)) continue;  // cancelled or timed out on its way
    took_task_ = true;
    pool_.list_running(lock, *this, *task);
    spend(lock);
    // An event loop that polls the descriptor by itself does not ask again.
    if (keeps_polling_ && !pool_.dispatch_.ask(lock, *this)) pool_.arm_reoffer(lock);
    return task;
  }
  pool_.dispatch_.ask(lock, *this);
  pool_.arm_reoffer(lock);
  return nullptr;
}

int WorkerSlot::signal_fd(bool keeps_polling) {
  activity::idle_end();
  Dispatch::Lock lock(pool_.mutex_);
  alive(lock);
  pool_.became_ready(lock, *this);
  keeps_polling_ = keeps_polling_ || keeps_polling;
  bool ready = stopping() || pool_.dispatch_.ask(lock, *this);
  if (!ready) {
    pool_.arm_reoffer(lock);
    const Wakeup::Ticket ticket = wakeup_.ticket();
    lock.unlock();
    wakeup_.spin_before_poll(ticket);
    lock.lock();
    ready = stopping() || offered_;
  }
  const int fd = wakeup_.fd(ready);
  lock.unlock();
  // It goes to sleep in a poll now; its next call here says that it is back.
  if (!ready) activity::idle_begin();
  return fd;
}

void WorkerSlot::release(Task& task) {
  Dispatch::Lock lock(pool_.mutex_);
  const bool listed = pool_.unlist_running(lock, *this, task);
  if (task.state() == TaskState::Completed) pool_.task_completed(lock);
  recycle_if_spent(lock);
  lock.unlock();
  if (listed) task.release();  // the list's reference; the caller has its own
}

void WorkerSlot::script_ended(const Failure& failure) {
  activity::idle_end();
  Dispatch::Lock lock(pool_.mutex_);
  Failure why = failure;
  if (stop_.load(std::memory_order_relaxed) == Stop::Overdue && why.reason == Reason::Shutdown) {
    why.reason = Reason::Exited;
    why.explain({"the worker was interrupted because another task that it held, ", std::to_string(overdue_task_),
                 ", had run out of time"});
  } else if (stopping() && why.reason == Reason::Exited) {
    why.reason = Reason::Shutdown;
  }
  while (running_ != nullptr) {
    Task* const task = running_;
    pool_.unlist_running(lock, *this, *task);
    lock.unlock();
    task->fail(why);
    task->release();
    lock.lock();
  }
  if (state_ == State::Lost) return;
  pool_.dispatch_.leave(lock, *this);
  pool_.arm_reoffer(lock);
}

}  // namespace igor
