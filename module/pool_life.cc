// The part of a pool that is its threads: how they start, run, restart, stop and are left behind.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "module/activity.h"
#include "module/log.h"
#include "module/pool.h"
#include "module/text.h"
#include "module/timers.h"
#include "module/times.h"

namespace igor {

uint32_t Pool::living(const Lock&) const noexcept {
  return static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) {
    return slot->state_ != WorkerSlot::State::Stopped && slot->state_ != WorkerSlot::State::Lost;
  }));
}

// Without those that were told to end for good.
uint32_t Pool::staying(const Lock&) const noexcept {
  return static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), [](const auto& slot) {
    return slot->state_ != WorkerSlot::State::Stopped && slot->state_ != WorkerSlot::State::Lost &&
           slot->stop_.load(std::memory_order_relaxed) != WorkerSlot::Stop::Retire;
  }));
}

// One that has retired, or a new one; null without memory for that.
WorkerSlot* Pool::free_slot(const Lock&) noexcept {
  const auto retired = std::find_if(slots_.begin(), slots_.end(),
                                    [](const auto& one) { return one->state_ == WorkerSlot::State::Stopped; });
  if (retired != slots_.end()) return retired->get();
  try {
    slots_.push_back(std::make_unique<WorkerSlot>(*this, static_cast<uint32_t>(slots_.size())));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return slots_.back().get();
}

bool Pool::spawn(const Lock& lock, std::string& error) noexcept {
  if (staying(lock) >= options_.max_threads) return true;
  const auto lost = std::count_if(slots_.begin(), slots_.end(),
                                  [](const auto& one) { return one->state_ == WorkerSlot::State::Lost; });
  if (lost > kMostLost) {
    put_text(error, {"no more threads for ", title(), ": ", std::to_string(lost), " of them could not be stopped"});
    put_text(no_thread_, {error});
    return false;
  }
  // Deadlines and supervision need theirs: without it no worker is started.
  int failed = Timers::global().start();
  if (WorkerSlot* const slot = failed == 0 ? free_slot(lock) : nullptr) {
    slot->thread_.join();  // of a retired one: it was past its last use of the lock when it said that it stopped
    slot->stop_.store(WorkerSlot::Stop::None, std::memory_order_release);
    slot->state_ = WorkerSlot::State::Starting;
    slot->since_ = now();
    char name[16];  // as much as the system keeps
    const std::string_view prefix = host_.thread_prefix();
    std::snprintf(name, sizeof name, "%.*s%s", static_cast<int>(prefix.size()), prefix.data(), options_.name.c_str());
    failed =
        slot->thread_.start(name, [self = shared_from_this(), slot] { self->run_slot(*slot); }, host_.stack_bytes());
    if (failed == 0) return true;
    slot->state_ = WorkerSlot::State::Stopped;  // a slot without a thread must not count as one that may serve
  } else if (failed == 0) {
    failed = ENOMEM;
  }
  put_text(error, {options_.kind == PoolKind::Requests ? "could not start a thread for worker \""
                                                       : "could not start a thread for background worker \"",
                   options_.name, "\": ", std::strerror(failed)});
  put_text(no_thread_, {error});
  return false;
}

bool Pool::start(uint32_t count, std::string& error) {
  Lock lock(mutex_);
  count = std::min(count, options_.max_threads);
  while (!draining() && hold_ != Hold::Drained && staying(lock) < count) {
    if (!spawn(lock, error)) return false;
  }
  return true;
}

bool Pool::grow(std::string& error) {
  Lock lock(mutex_);
  return draining() || hold_ == Hold::Drained || supervision_.breaker_open() || spawn(lock, error);
}

uint32_t Pool::size() const {
  Lock lock(mutex_);
  return living(lock);
}

bool Pool::ensure_started(std::string& error) {
  Lock lock(mutex_);
  return draining() || hold_ == Hold::Drained || staying(lock) > 0 || spawn(lock, error);
}

bool Pool::wait_ready(uint32_t count, TimePoint deadline, std::string& error, Failure& failure) {
  Lock lock(mutex_);
  const auto ready = [&] {
    const auto is_ready = [](const auto& slot) { return slot->ever_ready_; };
    return static_cast<uint32_t>(std::count_if(slots_.begin(), slots_.end(), is_ready)) >= count;
  };
  while (!ready() && !draining() && !supervision_.breaker_open() && now() < deadline) life_.wait_until(lock, deadline);
  if (ready()) return true;
  failure = last_failure_;
  if (draining()) {
    error = title() + " was told to stop before it was ready";
  } else if (supervision_.breaker_open()) {
    const Times times(supervision_.consecutive_failures());
    error = title() + " (" + options_.file + ") failed " + times.text() + " before it was ready";
  } else {
    error = title() + " (" + options_.file + ") was not ready in time: " + std::string(host_.ready_hint(options_));
  }
  if (!failure.message.empty()) error += ": " + failure.message;
  return false;
}

void Pool::became_ready(const Lock& lock, WorkerSlot& slot) {
  if (slot.state_ != WorkerSlot::State::Starting) return;
  slot.state_ = WorkerSlot::State::Ready;
  slot.since_ = now();
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

// The slot's run ends without a word on how it went: if it was the one that the breaker let through, another may.
void Pool::drop_trial(const Lock& lock, const WorkerSlot& slot) {
  if (!supervision_.breaker_open() || slot.state_ == WorkerSlot::State::Ready) return;
  supervision_.trial_dropped();
  wake_restarting(lock);
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

// A host that runs out of memory has failed like its script.
RunOutcome Pool::run_once(WorkerSlot& slot, bool& entered) noexcept {
  RunOutcome outcome;
  outcome.failure.reason = Reason::WorkerLost;
  try {
    if (!entered) entered = host_.enter(slot, outcome.failure.message);
    if (entered) outcome = host_.run(slot);
  } catch (const std::bad_alloc&) {
    outcome.clean = false;
    outcome.failure = Failure(Reason::MemoryLimit, {"the process has run out of memory"});
  }
  return outcome;
}

// Until the slot may run again; false when it shall not.
bool Pool::await_restart(Lock& lock, WorkerSlot& slot, TimePoint earliest) {
  while (!draining() && slot.stop_.load(std::memory_order_relaxed) != WorkerSlot::Stop::Retire) {
    const TimePoint at = now();
    if (at >= earliest && supervision_.may_start(at)) return true;
    if (slot.state_ != WorkerSlot::State::Restarting) slot.since_ = at;
    slot.state_ = WorkerSlot::State::Restarting;  // a new thread too, when it finds the breaker open
    const TimePoint next = std::max(earliest, supervision_.ask_again_at());
    const Wakeup::Ticket ticket = slot.wakeup_.ticket();
    lock.unlock();
    slot.wakeup_.wait(ticket, next);
    lock.lock();
  }
  return false;
}

namespace {
// A script that was interrupted for going on with a task died of that task, whatever it made of the interrupt.
void blame_overdue(uint64_t task, RunOutcome& outcome) {
  outcome.clean = false;
  if (outcome.failure.reason != Reason::Shutdown && outcome.failure.reason != Reason::Exited) return;
  outcome.failure.reason = Reason::Deadline;
  outcome.failure.explain(
      {"interrupted: task ", std::to_string(task), " had run out of time and the script went on with it"});
}
}  // namespace

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
    stop_pressing(lock, slot);
    slot.wakeup_.set_level(false);
    const TimePoint began = slot.since_ = now();
    lock.unlock();
    counters_->starts.fetch_add(1, std::memory_order_relaxed);
    RunOutcome outcome = run_once(slot, entered);
    slot.script_ended(outcome.failure);  // a second time for most hosts, with nothing left to do
    const TimePoint ended = now();
    lock.lock();
    if (slot.state_ == WorkerSlot::State::Lost) break;  // given up meanwhile, and yet it came back
    stop_pressing(lock, slot);
    slot.memory_.store(0, std::memory_order_relaxed);
    const WorkerSlot::Stop told = slot.stop_.load(std::memory_order_relaxed);
    if (told == WorkerSlot::Stop::Overdue) blame_overdue(slot.overdue_task_, outcome);
    if (!outcome.clean) counters_->crashes.fetch_add(1, std::memory_order_relaxed);
    if (draining()) break;
    if (told != WorkerSlot::Stop::None) drop_trial(lock, slot);
    if (told == WorkerSlot::Stop::Retire) break;
    if (told != WorkerSlot::Stop::None && told != WorkerSlot::Stop::Overdue) {
      // However it ended: it was told to.
      auto& number = told == WorkerSlot::Stop::Restart ? counters_->restarts_restarted : counters_->restarts_recycled;
      number.fetch_add(1, std::memory_order_relaxed);
      slot.state_ = WorkerSlot::State::Restarting;
      slot.since_ = ended;
      earliest = {};
      continue;
    }
    (outcome.clean ? counters_->restarts_ended : counters_->restarts_crashed).fetch_add(1, std::memory_order_relaxed);

    const bool was_ready = slot.state_ == WorkerSlot::State::Ready;
    const bool was_open = supervision_.breaker_open();
    Duration delay = supervision_.run_ended({was_ready, slot.took_task_, outcome.clean, ended - began}, ended);
    // A request has ended it, not its boot; and others may be waiting for it.
    if (options_.kind == PoolKind::Requests && was_ready && slot.took_task_) delay = Duration::zero();
    earliest = after(ended, delay);
    slot.state_ = WorkerSlot::State::Restarting;
    slot.since_ = ended;
    const bool breaker_open = supervision_.breaker_open();
    if (outcome.clean && !was_ready) outcome.failure.explain({"the script ended before it asked for its first task"});
    if (!outcome.clean || !was_ready) {
      last_failure_ = outcome.failure;
      last_failure_at_ = ended;
    }
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
  // One that was given up and yet came back is lost no longer.
  slot.state_ = WorkerSlot::State::Stopped;
  stop_pressing(lock, slot);
  life_.notify_all();
  // Nobody waits for this thread to be joined: soon, by the timers.
  if (ends_by_timer_ && all_ended(lock)) {
    Timers::global().schedule(now(), [self = shared_from_this()] { self->finish_drain_later(); });
  }
}

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
  const bool replaced = slot.stop_.load(std::memory_order_relaxed) != WorkerSlot::Stop::Retire;
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

void Pool::log_run(WorkerSlot& slot, const RunOutcome& outcome, bool was_ready, Duration delay, bool breaker_open) {
  LogQueue::global().push([&] { return run_record(slot, outcome, was_ready, delay, breaker_open); });
}

LogRecord Pool::run_record(WorkerSlot& slot, const RunOutcome& outcome, bool was_ready, Duration delay,
                           bool breaker_open) {
  LogRecord record;
  record.logger = "worker";
  const bool fine = outcome.clean && was_ready;
  record.level = fine ? kLogDebug : kLogWarn;
  if (breaker_open) record.level = kLogError;
  // Whole sentences, so that who looks for one in the sources finds it.
  const bool http = options_.kind == PoolKind::Requests;
  if (breaker_open && http) {
    record.message = "HTTP worker keeps failing, its breaker is open";
  } else if (breaker_open) {
    record.message = "background worker keeps failing, its breaker is open";
  } else if (fine && http) {
    record.message = "HTTP worker ended, starting it again";
  } else if (fine) {
    record.message = "background worker ended, starting it again";
  } else if (http) {
    record.message = "HTTP worker failed";
  } else {
    record.message = "background worker failed";
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
  return record;
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

void Pool::begin_drain(std::shared_ptr<Pool> successor) noexcept {
  // In a circle tasks would go round for ever.
  for (std::shared_ptr<Pool> one = successor; one; one = one->successor()) {
    if (one.get() != this) continue;
    successor = nullptr;
    break;
  }
  Lock lock(mutex_);
  if (draining()) return;
  successor_ = std::move(successor);
  draining_.store(true, std::memory_order_release);
  drain_began_ = now();
  if (!successor_) refuse_waiting(lock, SendResult::ShuttingDown);
  TaskList unclaimed = dispatch_.take_all(lock, slots_);
  if (successor_) {
    unclaimed.for_each([&](Task& task) { task.holder_.store(successor_.get(), std::memory_order_release); });
    snapshots_->changed().notify();
  }
  for (const auto& slot : slots_) {
    slot->wakeup_.set_level(true);
    slot->wakeup_.notify();
    for (Task* task = slot->running_; task != nullptr; task = task->next_) task->wake_worker();
  }
  life_.notify_all();
  lock.unlock();
  if (successor_) {
    successor_->follows(shared_from_this());
    successor_->take_charge();
    successor_->receive(std::move(unclaimed));
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
