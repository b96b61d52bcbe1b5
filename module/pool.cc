#include "module/pool.h"

#include <algorithm>
#include <cstring>

#include "module/activity.h"
#include "module/log.h"
#include "module/timers.h"

namespace igor {

std::shared_ptr<Pool> Pool::create(PoolOptions options, WorkerHost& host, std::weak_ptr<Scope> home) {
  options.max_threads = std::max({options.max_threads, options.num, 1u});
  return std::shared_ptr<Pool>(new Pool(std::move(options), host, std::move(home)));
}

Pool::Pool(PoolOptions options, WorkerHost& host, std::weak_ptr<Scope> home)
    : options_(std::move(options)),
      host_(host),
      home_(std::move(home)),
      dispatch_(options_.queue),
      supervision_(options_.supervision) {}

Pool::~Pool() = default;

// --- life ------------------------------------------------------------------------------------------

uint32_t Pool::living(const Lock&) const noexcept {
  return static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) {
    return slot->state_ != WorkerSlot::State::Stopped && slot->state_ != WorkerSlot::State::Lost;
  }));
}

bool Pool::spawn(const Lock& lock, std::string& error) {
  if (living(lock) >= options_.max_threads) return true;
  const auto retired = std::find_if(slots_.begin(), slots_.end(),
                                    [](const auto& one) { return one->state_ == WorkerSlot::State::Stopped; });
  WorkerSlot* slot = retired == slots_.end() ? nullptr : retired->get();
  if (slot == nullptr) {
    slots_.push_back(std::make_unique<WorkerSlot>(*this, static_cast<uint32_t>(slots_.size())));
    slot = slots_.back().get();
  }
  slot->thread_.join();  // of a retired one: it was past its last use of the lock when it said that it stopped
  slot->stop_.store(WorkerSlot::Stop::None, std::memory_order_release);
  slot->state_ = WorkerSlot::State::Starting;
  const int failed = slot->thread_.start(
      "php-" + options_.name, [self = shared_from_this(), slot] { self->run_slot(*slot); }, host_.stack_bytes());
  if (failed == 0) return true;
  slot->state_ = WorkerSlot::State::Stopped;  // a slot without a thread must not count as one that may serve
  error = "could not start a thread for background worker \"" + options_.name + "\": " + std::strerror(failed);
  return false;
}

bool Pool::start(std::string& error) {
  Lock lock(mutex_);
  while (!draining() && living(lock) < options_.num) {
    if (!spawn(lock, error)) return false;
  }
  return true;
}

bool Pool::grow(std::string& error) {
  Lock lock(mutex_);
  return draining() || supervision_.breaker_open() || spawn(lock, error);
}

uint32_t Pool::size() const {
  Lock lock(mutex_);
  return living(lock);
}

bool Pool::ensure_started(std::string& error) {
  Lock lock(mutex_);
  return draining() || living(lock) > 0 || spawn(lock, error);
}

bool Pool::wait_ready(TimePoint deadline, std::string& error, Failure& failure) {
  Lock lock(mutex_);
  const auto ready = [&] {
    uint32_t count = 0;
    for (const auto& slot : slots_) count += slot->ever_ready_;
    return count >= options_.num;
  };
  while (!ready() && !draining() && !supervision_.breaker_open() && now() < deadline) life_.wait_until(lock, deadline);
  if (ready()) return true;
  failure = last_failure_;
  if (draining()) {
    error = "background worker \"" + options_.name + "\" was told to stop before it was ready";
  } else if (supervision_.breaker_open()) {
    error = "background worker \"" + options_.name + "\" (" + options_.file + ") failed " +
            std::to_string(supervision_.consecutive_failures()) + " times before it was ready";
  } else {
    error = "background worker \"" + options_.name + "\" (" + options_.file +
            ") was not ready in time: it must ask for its first task (frankenphp_worker_get_signaling_stream, "
            "frankenphp_worker_task_receive or Igor\\Inbox::receive)";
  }
  if (!failure.message.empty()) error += ": " + failure.message;
  return false;
}

void Pool::became_ready(const Lock& lock, WorkerSlot& slot) {
  if (slot.state_ != WorkerSlot::State::Starting) return;
  slot.state_ = WorkerSlot::State::Ready;
  slot.ever_ready_ = true;
  ever_ready_ = true;
  if (supervision_.breaker_open()) {
    supervision_.became_ready();
    wake_restarting(lock);
  }
  life_.notify_all();
}

void Pool::task_completed(const Lock& lock) {
  const bool was_open = supervision_.breaker_open();
  supervision_.task_completed();
  if (was_open) wake_restarting(lock);
}

void Pool::wake_restarting(const Lock&) {
  for (const auto& slot : slots_) {
    if (slot->state_ == WorkerSlot::State::Restarting) slot->wakeup_.notify();
  }
}

bool Pool::somebody_may_serve(const Lock&) const noexcept {
  return std::any_of(slots_.begin(), slots_.end(), [](const auto& slot) {
    return slot->state_ == WorkerSlot::State::Starting || slot->state_ == WorkerSlot::State::Ready;
  });
}

RunOutcome Pool::run_once(WorkerSlot& slot, bool& entered) {
  RunOutcome outcome;
  outcome.failure.reason = Reason::WorkerLost;
  if (!entered) entered = host_.enter(slot, outcome.failure.message);
  return entered ? host_.run(slot) : outcome;
}

// Until the slot may run again; false when it shall not.
bool Pool::await_restart(Lock& lock, WorkerSlot& slot, TimePoint earliest) {
  while (!draining() && slot.stop_.load(std::memory_order_relaxed) != WorkerSlot::Stop::Retire) {
    const TimePoint at = now();
    if (at >= earliest && supervision_.may_start(at)) return true;
    slot.state_ = WorkerSlot::State::Restarting;  // a new thread too, when it finds the breaker open
    const TimePoint next = std::max(earliest, supervision_.ask_again_at());
    const Wakeup::Ticket ticket = slot.wakeup_.ticket();
    lock.unlock();
    slot.wakeup_.wait(ticket, next);
    lock.lock();
  }
  return false;
}

void Pool::run_slot(WorkerSlot& slot) {
  activity::thread_started();
  bool entered = false;
  TimePoint earliest{};
  Lock lock(mutex_);
  while (await_restart(lock, slot, earliest)) {
    slot.state_ = WorkerSlot::State::Starting;
    ++slot.runs_;
    slot.taken_ = 0;
    slot.spent_ = slot.took_task_ = slot.keeps_polling_ = false;
    slot.stop_.store(WorkerSlot::Stop::None, std::memory_order_release);
    slot.wakeup_.set_level(false);
    lock.unlock();
    counters_.starts.fetch_add(1, std::memory_order_relaxed);
    const TimePoint began = now();
    RunOutcome outcome = run_once(slot, entered);
    slot.script_ended(outcome.failure);  // a second time for most hosts, with nothing left to do
    const TimePoint ended = now();
    lock.lock();
    if (slot.state_ == WorkerSlot::State::Lost) break;  // given up meanwhile, and yet it came back
    if (!outcome.clean) counters_.failures.fetch_add(1, std::memory_order_relaxed);
    if (draining()) break;
    const WorkerSlot::Stop told = slot.stop_.load(std::memory_order_relaxed);
    if (told == WorkerSlot::Stop::Retire) break;
    if (told == WorkerSlot::Stop::Recycle) {
      // However it ended: it was told to.
      slot.state_ = WorkerSlot::State::Restarting;
      earliest = {};
      continue;
    }

    const bool was_ready = slot.state_ == WorkerSlot::State::Ready;
    const bool was_open = supervision_.breaker_open();
    const Duration delay = supervision_.run_ended({was_ready, slot.took_task_, outcome.clean, ended - began}, ended);
    earliest = after(ended, delay);
    slot.state_ = WorkerSlot::State::Restarting;
    const bool breaker_open = supervision_.breaker_open();
    if (outcome.clean && !was_ready) outcome.failure.message = "the script ended before it asked for its first task";
    if (!outcome.clean || !was_ready) last_failure_ = outcome.failure;
    if (!somebody_may_serve(lock)) {
      if (breaker_open) {
        refuse_waiting(lock, SendResult::BreakerOpen);
      } else if (!ever_ready_) {
        refuse_waiting(lock, SendResult::WorkerFailed);
      }
    }
    if (was_open) wake_restarting(lock);  // they wait for the fate of this run
    if (breaker_open) life_.notify_all();
    lock.unlock();
    log_run(slot, outcome, was_ready, delay, breaker_open);
    lock.lock();
  }
  lock.unlock();
  if (entered) host_.leave(slot);
  activity::thread_stopped();
  lock.lock();
  if (slot.state_ != WorkerSlot::State::Lost) slot.state_ = WorkerSlot::State::Stopped;
  life_.notify_all();
}

void Pool::stop_slot(Lock& lock, WorkerSlot& slot, WorkerSlot::Stop why) {
  const WorkerSlot::Stop before = slot.stop_.load(std::memory_order_relaxed);
  if (draining() || before >= why) return;
  switch (slot.state_) {
    case WorkerSlot::State::Stopped:
    case WorkerSlot::State::Lost:
      return;
    case WorkerSlot::State::Restarting:
      if (why == WorkerSlot::Stop::Recycle) return;  // it is about to start afresh
      break;
    case WorkerSlot::State::Starting:
    case WorkerSlot::State::Ready:
      break;
  }
  slot.stop_.store(why, std::memory_order_release);
  dispatch_.leave(lock, slot);
  slot.wakeup_.set_level(true);
  slot.wakeup_.notify();
  for (Task* task = slot.running_; task != nullptr; task = task->next_) task->wake_worker();
  arm_reoffer(lock);
  if (before != WorkerSlot::Stop::None) return;  // its grace runs already
  const TimePoint grace_end = after(now(), options_.stop_grace);
  Timers::global().schedule(grace_end,
                            [self = shared_from_this(), &slot, run = slot.runs_, give_up_at = after(grace_end, kForceTime)] {
                              self->press_slot(slot, run, give_up_at);
                            });
}

// On the timer's thread: interrupts a script that did not stop within its grace, again and again, because a
// single nudge can fall between two system calls; then gives it up.
void Pool::press_slot(WorkerSlot& slot, uint64_t run, TimePoint give_up_at) {
  Lock lock(mutex_);
  const bool runs = slot.state_ == WorkerSlot::State::Starting || slot.state_ == WorkerSlot::State::Ready;
  if (draining() || slot.runs_ != run || !runs) return;
  if (now() >= give_up_at) {
    give_up(lock, slot);
    return;
  }
  lock.unlock();
  host_.interrupt(slot);
  Timers::global().schedule(after(now(), std::chrono::milliseconds(20)),
                            [self = shared_from_this(), &slot, run, give_up_at] { self->press_slot(slot, run, give_up_at); });
}

// Leaves the thread behind, fails what it holds, and starts another in its place.
void Pool::give_up(Lock& lock, WorkerSlot& slot) {
  slot.state_ = WorkerSlot::State::Lost;
  slot.thread_.abandon();
  dispatch_.leave(lock, slot);
  std::vector<Ref<Task>> orphans;
  for (Task* task = slot.running_; task != nullptr; task = task->next_) orphans.emplace_back(task);
  const auto lost = std::count_if(slots_.begin(), slots_.end(),
                                  [](const auto& one) { return one->state_ == WorkerSlot::State::Lost; });
  std::string error;
  if (!draining() && slot.stop_.load(std::memory_order_relaxed) == WorkerSlot::Stop::Recycle && lost <= kMostLost) {
    spawn(lock, error);
  }
  life_.notify_all();
  lock.unlock();
  for (const Ref<Task>& task : orphans) {
    Failure failure;
    failure.reason = Reason::WorkerLost;
    failure.message = "background worker \"" + options_.name + "\" could not be stopped";
    task->fail(std::move(failure));
  }
  lock.lock();
}

void Pool::log_run(WorkerSlot& slot, const RunOutcome& outcome, bool was_ready, Duration delay, bool breaker_open) {
  LogRecord record;
  record.logger = "worker";
  const bool fine = outcome.clean && was_ready;
  record.level = fine ? kLogDebug : kLogWarn;
  record.message = fine ? "background worker ended, starting it again" : "background worker failed";
  if (breaker_open) {
    record.level = kLogError;
    record.message = "background worker keeps failing, its breaker is open";
  }
  record.fields = {{"worker", options_.name},
                   {"thread", slot.label()},
                   {"script", options_.file},
                   {"reason", std::string(reason_name(outcome.failure.reason))},
                   {"exit_status", std::to_string(outcome.failure.exit_status)},
                   {"restart_in_ms", std::to_string(delay.count() / 1'000'000)}};
  if (!outcome.failure.message.empty()) record.fields.emplace_back("error", outcome.failure.message);
  if (!outcome.failure.file.empty()) {
    record.fields.emplace_back("file", outcome.failure.file);
    record.fields.emplace_back("line", std::to_string(outcome.failure.line));
  }
  LogQueue::global().push(std::move(record));
}

void Pool::refuse_waiting(const Lock&, SendResult why) {
  while (Task* waiting = dispatch_.mailbox().first_waiting()) {
    const Ref<Task> task = dispatch_.mailbox().erase(*waiting);
    task->admission_ = Task::Admission::Refused;
    task->refusal_ = static_cast<uint8_t>(why);
    task->sender_wakeup_.notify();
  }
  ++refusals_;
  last_refusal_ = why;
  published_.notify();
}

void Pool::begin_drain() {
  Lock lock(mutex_);
  if (draining()) return;
  draining_.store(true, std::memory_order_release);
  drain_began_ = now();
  refuse_waiting(lock, SendResult::ShuttingDown);
  std::vector<Ref<Task>> unclaimed = dispatch_.take_all(lock, slots_);
  for (const auto& slot : slots_) {
    slot->wakeup_.set_level(true);
    slot->wakeup_.notify();
    for (Task* task = slot->running_; task != nullptr; task = task->next_) task->wake_worker();
  }
  life_.notify_all();
  lock.unlock();
  for (const Ref<Task>& task : unclaimed) {
    Failure failure;
    failure.reason = Reason::Shutdown;
    failure.message = "background worker \"" + options_.name + "\" is shutting down";
    task->fail(std::move(failure));
  }
}

size_t Pool::finish_drain() {
  return finish_drain({shared_from_this()});
}

size_t Pool::finish_drain(const std::vector<std::shared_ptr<Pool>>& pools) {
  for (;;) {
    Pool* unfinished = nullptr;
    TimePoint next = kNever;
    for (const auto& pool : pools) {
      if (!pool->press_to_end(next) && unfinished == nullptr) unfinished = pool.get();
    }
    if (unfinished == nullptr) break;
    unfinished->await_end(next);
  }
  size_t lost = 0;
  for (const auto& pool : pools) lost += pool->collect_threads();
  return lost;
}

bool Pool::all_ended(const Lock&) const noexcept {
  return std::all_of(slots_.begin(), slots_.end(), [](const auto& slot) {
    return slot->state_ == WorkerSlot::State::Stopped || slot->state_ == WorkerSlot::State::Lost;
  });
}

void Pool::await_end(TimePoint deadline) {
  Lock lock(mutex_);
  life_.wait_until(lock, deadline, [&] { return all_ended(lock); });
}

// True when all threads have ended or were given up. Otherwise does what is due, and lowers `next` to
// when it wants to be called again.
bool Pool::press_to_end(TimePoint& next) {
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
      // The host may take locks of its own; the slot outlives the call.
      lock.unlock();
      host_.interrupt(*slot);
      lock.lock();
    }
    next = std::min({next, give_up_at_, after(at, std::chrono::milliseconds(20))});
    return all_ended(lock);
  }

  std::vector<Ref<Task>> orphans;
  for (const auto& slot : slots_) {
    if (slot->state_ == WorkerSlot::State::Stopped || slot->state_ == WorkerSlot::State::Lost) continue;
    slot->state_ = WorkerSlot::State::Lost;
    slot->thread_.abandon();
    for (Task* task = slot->running_; task != nullptr; task = task->next_) orphans.emplace_back(task);
  }
  lock.unlock();
  for (const Ref<Task>& task : orphans) {
    Failure failure;
    failure.reason = Reason::WorkerLost;
    failure.message = "background worker \"" + options_.name + "\" could not be stopped";
    task->fail(std::move(failure));
  }
  return true;
}

size_t Pool::collect_threads() {
  size_t lost = 0;
  for (const auto& slot : slots_) {
    {
      Lock lock(mutex_);
      lost += slot->state_ == WorkerSlot::State::Lost;
    }
    slot->thread_.join();  // of a lost one: nothing, it was abandoned
  }
  return lost;
}

// --- tasks -----------------------------------------------------------------------------------------

void Pool::count_accepted(Task& task) {
  std::lock_guard lock(task.mutex_);
  task.counted_ = true;
  counters_.accepted.fetch_add(1, std::memory_order_relaxed);
  if (options_.observer) options_.observer(task, "accept");
}

void Pool::count_start(Task& task) {
  if (options_.observer) options_.observer(task, "start");
}

void Pool::count_end(Task& task, TaskState state) {
  Counters::Number* number = &counters_.completed;
  std::string_view event = "complete";
  if (state == TaskState::Cancelled) number = &counters_.cancelled, event = "cancel";
  if (state == TaskState::TimedOut) number = &counters_.timed_out, event = "timeout";
  if (state == TaskState::Failed) number = &counters_.failed[static_cast<size_t>(task.failure_.reason)], event = "fail";
  number->fetch_add(1, std::memory_order_relaxed);
  if (options_.observer) options_.observer(task, event);
}

void Pool::withdraw(Task& task) {
  Lock lock(mutex_);
  dispatch_.withdraw(lock, task);
  arm_reoffer(lock);  // it may have left a slot waiting
}

void Pool::list_running(const Lock&, WorkerSlot& slot, Task& task) {
  task.retain();
  task.running_listed_ = true;
  task.previous_ = nullptr;
  task.next_ = slot.running_;
  if (slot.running_ != nullptr) slot.running_->previous_ = &task;
  slot.running_ = &task;
}

bool Pool::unlist_running(const Lock&, WorkerSlot& slot, Task& task) {
  if (!task.running_listed_) return false;
  (task.previous_ != nullptr ? task.previous_->next_ : slot.running_) = task.next_;
  if (task.next_ != nullptr) task.next_->previous_ = task.previous_;
  task.next_ = task.previous_ = nullptr;
  task.running_listed_ = false;
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

Pool::Sent Pool::send(Payload payload, TimePoint deadline, Interrupt* interrupt, Duration task_timeout) {
  Sent sent;
  sent.task = Ref<Task>::adopt(new Task(shared_from_this(), std::move(payload), options_.updates));
  Task& task = *sent.task;
  const auto refuse = [&](SendResult why) {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    sent.result = why;
    sent.task = nullptr;
  };

  Lock lock(mutex_);
  if (draining()) {
    refuse(SendResult::ShuttingDown);
    return sent;
  }
  if (supervision_.breaker_open() && !somebody_may_serve(lock)) {
    sent.failure = last_failure_;
    sent.failures = supervision_.consecutive_failures();
    refuse(SendResult::BreakerOpen);
    return sent;
  }
  // Without a thread for growth the task goes to those that live. An open breaker tries one at a time.
  if (!dispatch_.has_idle() && !supervision_.breaker_open() && !spawn(lock, sent.detail) && living(lock) == 0) {
    refuse(SendResult::NoThread);
    return sent;
  }
  const auto full = [&] { return !dispatch_.has_idle() && !dispatch_.mailbox().has_free_place(); };
  if (options_.overflow_reject && ever_ready_ && full()) {
    refuse(SendResult::Overflow);
    return sent;
  }

  dispatch_.submit(lock, task);
  arm_reoffer(lock);
  while (task.admission_ == Task::Admission::Waiting) {
    SendResult why = SendResult::Accepted;
    if (interrupted(interrupt)) {
      why = SendResult::Interrupted;
    } else if (deadline != kNever && now() >= deadline) {
      why = SendResult::TimedOut;
    }
    if (why != SendResult::Accepted) {
      dispatch_.withdraw(lock, task);
      refuse(why);
      return sent;
    }
    const Wakeup::Ticket ticket = task.sender_wakeup_.ticket();
    lock.unlock();
    task.sender_wakeup_.wait(ticket, deadline, interrupt);
    lock.lock();
  }
  if (task.admission_ == Task::Admission::Refused) {
    sent.failure = last_failure_;
    sent.failures = supervision_.consecutive_failures();
    refuse(static_cast<SendResult>(task.refusal_));
    return sent;
  }
  lock.unlock();

  if (task_timeout == Duration::zero()) task_timeout = options_.task_timeout;
  if (task_timeout > Duration::zero()) {
    const Timers::Id timer =
        Timers::global().schedule(after(now(), task_timeout), [held = sent.task] { held->time_out(); });
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
  if ((look.snapshot = snapshots_.latest())) return look;
  const auto refuse = [&](SendResult why) {
    look.result = why;
    look.failure = last_failure_;
    look.failures = supervision_.consecutive_failures();
    return std::move(look);
  };
  Lock lock(mutex_);
  if (draining()) return refuse(SendResult::ShuttingDown);
  if (supervision_.breaker_open() && !somebody_may_serve(lock)) return refuse(SendResult::BreakerOpen);
  if (living(lock) == 0 && !spawn(lock, look.detail)) return refuse(SendResult::NoThread);
  const uint64_t refusals = refusals_;
  while (!(look.snapshot = snapshots_.latest())) {
    if (refusals_ != refusals) return refuse(last_refusal_);
    if (interrupted(interrupt)) return refuse(SendResult::Interrupted);
    if (deadline != kNever && now() >= deadline) return refuse(SendResult::TimedOut);
    const Wakeup::Ticket ticket = published_.ticket();
    lock.unlock();
    published_.wait(ticket, deadline, interrupt);
    lock.lock();
  }
  return look;
}

void Pool::publish(WorkerSlot& slot, Payload payload) {
  Lock lock(mutex_);
  became_ready(lock, slot);
  if (snapshots_.publish(std::move(payload))) published_.notify();
}

Pool::Stats Pool::stats() {
  Lock lock(mutex_);
  Stats stats;
  for (const auto& slot : slots_) {
    switch (slot->state_) {
      case WorkerSlot::State::Stopped:
        continue;
      case WorkerSlot::State::Starting:
        ++stats.starting;
        break;
      case WorkerSlot::State::Ready:
        ++stats.ready;
        break;
      case WorkerSlot::State::Restarting:
        ++stats.restarting;
        break;
      case WorkerSlot::State::Lost:
        ++stats.lost;
        break;
    }
    ++stats.threads;
    stats.waiting += slot->idle_;
    for (Task* task = slot->running_; task != nullptr; task = task->next_) ++stats.running;
    stats.queued += static_cast<bool>(slot->offered_);
  }
  stats.queued += dispatch_.mailbox().accepted();
  stats.blocked_senders = dispatch_.mailbox().size() - dispatch_.mailbox().accepted();
  stats.consecutive_failures = supervision_.consecutive_failures();
  stats.breaker_open = supervision_.breaker_open();
  return stats;
}

}  // namespace igor
