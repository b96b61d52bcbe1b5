#include "module/worker_slot.h"

#include "module/activity.h"
#include "module/pool.h"

namespace igor {

const PoolOptions& WorkerSlot::options() const noexcept {
  return pool_.options();
}

std::string WorkerSlot::label() const {
  return options().name + " #" + std::to_string(index_);
}

bool WorkerSlot::draining() const noexcept {
  return pool_.draining();
}

WorkerSlot::Signal WorkerSlot::poll_signal() {
  activity::idle_end();
  Dispatch::Lock lock(pool_.mutex_);
  pool_.became_ready(lock, *this);
  if (draining()) return Signal::Stop;
  if (pool_.dispatch_.ask(lock, *this)) return Signal::Task;
  pool_.arm_reoffer(lock);
  return Signal::None;
}

WorkerSlot::Signal WorkerSlot::wait_signal(TimePoint deadline, Interrupt* interrupt, bool claims_at_once) {
  activity::idle_end();
  Dispatch::Lock lock(pool_.mutex_);
  pool_.became_ready(lock, *this);
  for (;;) {
    if (draining()) return Signal::Stop;
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
  pool_.became_ready(lock, *this);
  if (draining()) return nullptr;
  while (Ref<Task> task = pool_.dispatch_.take(lock, *this)) {
    if (!task->start(*this)) continue;  // cancelled or timed out on its way
    took_task_ = true;
    pool_.list_running(lock, *this, *task);
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
  pool_.became_ready(lock, *this);
  keeps_polling_ = keeps_polling_ || keeps_polling;
  bool ready = draining() || pool_.dispatch_.ask(lock, *this);
  if (!ready) {
    pool_.arm_reoffer(lock);
    const Wakeup::Ticket ticket = wakeup_.ticket();
    lock.unlock();
    wakeup_.spin_before_poll(ticket);
    lock.lock();
    ready = draining() || offered_;
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
  lock.unlock();
  if (listed) task.release();  // the list's reference; the caller has its own
}

void WorkerSlot::script_ended(const Failure& failure) {
  activity::idle_end();
  Failure why = failure;
  if (draining() && why.reason == Reason::Exited) why.reason = Reason::Shutdown;
  Dispatch::Lock lock(pool_.mutex_);
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
