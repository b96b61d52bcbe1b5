#include "module/pool.h"

#include <algorithm>
#include <new>

#include "module/log.h"
#include "module/timers.h"

namespace igor {

std::shared_ptr<Pool> Pool::create(PoolOptions options, WorkerHost& host, std::weak_ptr<Scope> home,
                                   const std::shared_ptr<Pool>& predecessor) {
  options.max_threads = std::max({options.max_threads, options.num, 1u});
  if (predecessor) options.host_data = predecessor->options_.host_data;
  auto pool = std::shared_ptr<Pool>(new Pool(std::move(options), host, std::move(home), predecessor));
  // From now on: after a reload it is a while until the old one drains, with the last of the old requests.
  if (predecessor) pool->follows(predecessor);
  return pool;
}

Pool::Pool(PoolOptions options, WorkerHost& host, std::weak_ptr<Scope> home, const std::shared_ptr<Pool>& predecessor)
    : options_(std::move(options)),
      title_((options_.kind == PoolKind::Requests ? "worker \"" : "background worker \"") + options_.name + "\""),
      stamp_(FileStamp::of(options_.file)),
      host_(host),
      counters_(predecessor ? predecessor->counters_ : std::make_shared<Counters>()),
      snapshots_(predecessor ? predecessor->snapshots_ : std::make_shared<SnapshotStore>()),
      home_(std::move(home)),
      dispatch_(options_.queue, options_.dispatch),
      supervision_(options_.supervision),
      in_charge_(!predecessor) {
  LogQueue::global();  // made now: what there is to tell may be that there is no memory
}

Pool::~Pool() = default;

std::shared_ptr<Scope> Pool::home() const {
  std::lock_guard lock(home_mutex_);
  return home_.lock();
}

void Pool::move_home(std::weak_ptr<Scope> home) {
  std::lock_guard lock(home_mutex_);
  home_.swap(home);
}

// --- tasks -----------------------------------------------------------------------------------------

void Pool::count_accepted(Task& task) {
  std::lock_guard lock(task.mutex_);
  task.counted_ = true;
  if (task.time_limit_ > Duration::zero()) task.deadline_ = after(now(), task.time_limit_);
  counters_->accepted.fetch_add(1, std::memory_order_relaxed);
  counters_->payload_bytes.fetch_add(task.payload_size(), std::memory_order_relaxed);
  if (options_.observer) options_.observer(task, "accept");
}

void Pool::count_start(Task& task) {
  task.started_ = now();
  counters_->started.fetch_add(1, std::memory_order_relaxed);
  counters_->wait.record(task.started_ - task.created());
  if (options_.observer) options_.observer(task, "start");
}

void Pool::count_end(Task& task, TaskState state) {
  Counters::Number* number = &counters_->completed;
  std::string_view event = "complete";
  if (state == TaskState::Cancelled) number = &counters_->cancelled, event = "cancel";
  if (state == TaskState::TimedOut) number = &counters_->timed_out, event = "timeout";
  if (state == TaskState::Failed)
    number = &counters_->failed[static_cast<size_t>(task.failure_.reason)], event = "fail";
  number->fetch_add(1, std::memory_order_relaxed);
  task.ended_at_ = now();
  counters_->total.record(task.ended_at_ - task.created());
  if (task.started_ != TimePoint{}) counters_->run.record(task.ended_at_ - task.started_);
  if (options_.observer) options_.observer(task, event);
}

void Pool::withdraw(Task& task) {
  Pool* at = nullptr;
  const Lock lock = lock_holder(task, at);
  at->dispatch_.withdraw(lock, task);
  at->arm_reoffer(lock);  // it may have left a slot waiting
}

void Pool::list_running(const Lock&, WorkerSlot& slot, Task& task) {
  task.retain();
  task.running_listed_ = true;
  task.previous_ = nullptr;
  task.next_ = slot.running_;
  if (slot.running_ != nullptr) slot.running_->previous_ = &task;
  slot.running_ = &task;
  if (slot.running_count_++ == 0) slot.since_ = task.started_;
}

bool Pool::unlist_running(const Lock&, WorkerSlot& slot, Task& task) {
  if (!task.running_listed_) return false;
  (task.previous_ != nullptr ? task.previous_->next_ : slot.running_) = task.next_;
  if (task.next_ != nullptr) task.next_->previous_ = task.previous_;
  task.next_ = task.previous_ = nullptr;
  task.running_listed_ = false;
  if (--slot.running_count_ == 0) slot.since_ = task.ended() ? task.ended_at_ : now();
  return true;
}

void Pool::arm_reoffer(const Lock& lock) {
  if (reoffer_armed_ || !dispatch_.wants_reoffer(lock)) return;
  const auto later = [self = shared_from_this()] {
    Lock held(self->mutex_);
    self->reoffer_armed_ = false;
    self->dispatch_.reoffer(held, self->slots_, now());
    self->arm_reoffer(held);
  };
  reoffer_armed_ = Timers::global().schedule(after(now(), Dispatch::kClaimTime), later) != 0;
}

// --- who is in charge --------------------------------------------------------------------------------

Pool::Lock Pool::lock_in_charge(Pool*& at) {
  for (;;) {
    Lock lock(at->mutex_);
    if (!at->relieved()) return lock;
    at = at->successor_.get();
  }
}

Pool::Lock Pool::lock_holder(Task& task, Pool*& at) {
  for (;;) {
    at = task.holder();
    Lock lock(at->mutex_);
    if (task.holder() == at) return lock;
  }
}

// What its predecessor had not handed out. On the way here the tasks were in nobody's list: those that ended, and
// those whose senders gave up, are dropped now.
void Pool::receive(TaskList tasks) noexcept {
  if (tasks.empty()) return;
  TaskList wanted, failed;
  Failure failure(Reason::Shutdown, {title(), " is shutting down"});
  Lock lock(mutex_);
  const bool passed_on = relieved();
  const bool hopeless = draining() || (supervision_.breaker_open() && !somebody_may_serve(lock));
  while (Ref<Task> task = tasks.pop_front()) {
    if (task->ended() || task->admission_ == Task::Admission::Refused) continue;
    if (passed_on) {
      task->holder_.store(successor_.get(), std::memory_order_release);
    } else if (hopeless && task->admission_ == Task::Admission::Waiting) {
      refuse(lock, *task, draining() ? SendResult::ShuttingDown : SendResult::BreakerOpen);
      continue;
    }
    wanted.push_back(std::move(task));
  }
  if (passed_on) {
    lock.unlock();
    successor_->receive(std::move(wanted));
    return;
  }
  if (draining()) {
    failed = std::move(wanted);
  } else {
    size_t left = dispatch_.enlist(lock, std::move(wanted));
    const bool may_grow = hold_ == Hold::None && !supervision_.breaker_open();
    for (; may_grow && left > 0 && staying(lock) < options_.max_threads; --left) {
      if (spawn(lock, failure.message)) continue;
      if (staying(lock) == 0) failed = give_up_queue(lock);
      failure.reason = Reason::WorkerLost;
      break;
    }
    arm_reoffer(lock);
  }
  lock.unlock();
  fail_all(std::move(failed), failure);
}

void Pool::take_charge() noexcept {
  Lock lock(mutex_);
  if (in_charge_ || draining() || relieved()) return;
  in_charge_ = true;
  if (held_back_) snapshots_->publish(std::move(held_back_));
}

void Pool::take_charge_if_vacant() noexcept try {
  const auto before = predecessors();
  const auto vacant = [](std::shared_ptr<Pool> one) {
    while (one->relieved()) one = one->successor();
    return one->draining();
  };
  if (std::all_of(before.begin(), before.end(), vacant)) take_charge();
} catch (const std::bad_alloc&) {
}

// --- sending -----------------------------------------------------------------------------------------

// Whether the task may come in here: then it is offered, queued, or its sender waits.
Pool::SendResult Pool::submit(const Lock& lock, Task& task, std::string& detail, Wakeup*& to_notify) {
  if (draining()) return SendResult::ShuttingDown;
  if (supervision_.breaker_open() && !somebody_may_serve(lock)) return SendResult::BreakerOpen;
  // Without a thread for growth the task goes to those that live. An open breaker tries one at a time.
  if (hold_ == Hold::None && !dispatch_.has_idle() && !supervision_.breaker_open() && !spawn(lock, detail) &&
      staying(lock) == 0) {
    return SendResult::NoThread;
  }
  if (options_.overflow_reject && (ever_ready_ || hold_ != Hold::None) && !dispatch_.has_room(lock)) {
    return SendResult::Overflow;
  }
  dispatch_.submit(lock, task, &to_notify);
  arm_reoffer(lock);
  return SendResult::Accepted;
}

// Until the task has a place or will have none. It may move to another pool meanwhile: `at`, whose lock is held,
// moves along.
Pool::SendResult Pool::await_admission(Lock& lock, Pool*& at, Task& task, TimePoint deadline, Interrupt* interrupt) {
  for (;;) {
    if (task.holder() != at) {
      lock.unlock();
      lock = lock_holder(task, at);
    }
    if (task.admission_ == Task::Admission::Accepted) return SendResult::Accepted;
    if (task.admission_ == Task::Admission::Refused) return static_cast<SendResult>(task.refusal_);
    SendResult why = SendResult::Accepted;
    if (interrupted(interrupt)) {
      why = SendResult::Interrupted;
    } else if (deadline != kNever && now() >= deadline) {
      why = SendResult::TimedOut;
    }
    if (why != SendResult::Accepted) {
      at->dispatch_.withdraw(lock, task);
      task.admission_ = Task::Admission::Refused;  // for a successor that is about to receive it
      return why;
    }
    const Wakeup::Ticket ticket = task.sender_wakeup_.ticket();
    lock.unlock();
    task.sender_wakeup_.wait(ticket, deadline, interrupt);
    lock.lock();
  }
}

void Pool::announce(Duration soon) noexcept {
  Pool* at = this;
  Lock lock = lock_in_charge(at);
  Wakeup* const next = at->dispatch_.next_to_wake(lock);
  lock.unlock();
  if (next != nullptr) next->announce(soon);
}

Pool::Sent Pool::send(Payload payload, TimePoint deadline, Interrupt* interrupt, Duration task_timeout,
                      Ref<const Origin> origin) {
  Sent sent;
  sent.task = Ref<Task>::adopt(new Task(shared_from_this(), std::move(payload), options_.updates, std::move(origin)));
  Task& task = *sent.task;
  task.time_limit_ = task_timeout == Duration::zero() ? options_.task_timeout : task_timeout;

  Pool* at = this;
  Lock lock = lock_in_charge(at);
  task.holder_.store(at, std::memory_order_relaxed);
  Wakeup* to_notify = nullptr;
  sent.result = at->submit(lock, task, sent.detail, to_notify);
  if (sent.result == SendResult::Accepted) sent.result = await_admission(lock, at, task, deadline, interrupt);
  if (sent.result != SendResult::Accepted) {
    counters_->refused.fetch_add(1, std::memory_order_relaxed);
    if (sent.result == SendResult::BreakerOpen || sent.result == SendResult::WorkerFailed) {
      sent.failure = at->last_failure_;
      sent.failures = at->supervision_.consecutive_failures();
    }
    if (sent.result == SendResult::NoThread) sent.detail = at->no_thread_;
    lock.unlock();
    sent.task = nullptr;
    return sent;
  }
  lock.unlock();
  if (to_notify != nullptr) to_notify->notify();

  if (task.time_limit_ > Duration::zero()) {
    // From its acceptance, however long ago that was: this thread may have been woken late.
    const Timers::Id timer = Timers::global().schedule(task.deadline_, [held = sent.task] { held->time_out(); });
    if (timer == 0) {
      // Nobody would ever end it.
      task.cancel();
      throw std::bad_alloc();
    }
    std::unique_lock task_lock(task.mutex_);
    if (task.ended()) {
      task_lock.unlock();
      Timers::global().cancel(timer);
    } else {
      task.deadline_timer_ = timer;
    }
  }
  return sent;
}

Pool::Look Pool::look(TimePoint deadline, Interrupt* interrupt) {
  Look look;
  if ((look.snapshot = snapshots_->latest())) return look;
  Pool* at = this;
  Lock lock = lock_in_charge(at);
  const auto refuse = [&](SendResult why) {
    look.result = why;
    look.failure = at->last_failure_;
    look.failures = at->supervision_.consecutive_failures();
    if (why == SendResult::NoThread) look.detail = at->no_thread_;
    return std::move(look);
  };
  for (;;) {
    // Here and at every successor on the way.
    if (at->draining()) return refuse(SendResult::ShuttingDown);
    if (at->supervision_.breaker_open() && !at->somebody_may_serve(lock)) return refuse(SendResult::BreakerOpen);
    if (at->hold_ != Hold::Drained && at->staying(lock) == 0 && !at->spawn(lock, look.detail)) {
      return refuse(SendResult::NoThread);
    }
    const uint64_t refusals = at->refusals_;
    do {
      if ((look.snapshot = at->snapshots_->latest())) return look;
      if (at->refusals_ != refusals) return refuse(at->last_refusal_);
      if (interrupted(interrupt)) return refuse(SendResult::Interrupted);
      if (deadline != kNever && now() >= deadline) return refuse(SendResult::TimedOut);
      const Wakeup::Ticket ticket = at->snapshots_->changed().ticket();
      lock.unlock();
      at->snapshots_->changed().wait(ticket, deadline, interrupt);
      lock.lock();
    } while (!at->relieved());
    lock.unlock();
    lock = lock_in_charge(at);
  }
}

void Pool::publish(WorkerSlot& slot, Payload payload) {
  auto next = SnapshotStore::prepare(std::move(payload));
  Lock lock(mutex_);
  became_ready(lock, slot);
  if (relieved()) return;
  if (in_charge_) {
    snapshots_->publish(std::move(next));
  } else {
    held_back_ = std::move(next);
  }
}

}  // namespace igor
