// The part of a pool that is its threads: how they start, run and restart. How they end is in pool_end.cc.
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
  while (!draining() && !relieved() && slot.stop_.load(std::memory_order_relaxed) != WorkerSlot::Stop::Retire) {
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

}  // namespace igor
