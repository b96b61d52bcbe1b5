// The part of a pool by which it is looked at and steered while it runs.
#include <algorithm>

#include "module/log.h"
#include "module/pool.h"
#include "module/scope.h"

namespace igor {

// --- holders ---------------------------------------------------------------------------------------

bool Pool::hold(const std::shared_ptr<Scope>& scope) {
  Lock lock(mutex_);
  if (let_go_ || replaced_ || draining()) return false;
  holders_.push_back(scope);
  return true;
}

bool Pool::let_go(const Scope& scope) {
  Lock lock(mutex_);
  // With those that are gone: a scope that was dropped without having been closed holds nothing.
  std::erase_if(holders_, [&](const std::weak_ptr<Scope>& one) {
    const auto held = one.lock();
    return !held || held.get() == &scope;
  });
  if (!holders_.empty() || let_go_) return false;
  return let_go_ = true;
}

std::vector<std::shared_ptr<Scope>> Pool::holders() const {
  std::vector<std::shared_ptr<Scope>> scopes;
  Lock lock(mutex_);
  for (const auto& one : holders_) {
    if (auto scope = one.lock()) scopes.push_back(std::move(scope));
  }
  return scopes;
}

// --- operation -------------------------------------------------------------------------------------

// Waits for nobody.
void Pool::hold_back(Lock& lock, Hold hold) {
  hold_ = hold;
  dispatch_.pause(lock, slots_);
  if (hold != Hold::Drained) return;
  for (const auto& slot : slots_) stop_slot(lock, *slot, WorkerSlot::Stop::Retire);
}

bool Pool::pause(std::string& error) {
  Lock lock(mutex_);
  if (options_.kind == PoolKind::Requests) {
    error = title() + " answers HTTP requests: it cannot be paused, only restarted";
    return false;
  }
  if (draining()) {
    error = title() + " is shutting down";
    return false;
  }
  if (hold_ == Hold::None) hold_back(lock, Hold::Paused);
  return true;
}

bool Pool::drain(std::string& error) {
  Lock lock(mutex_);
  if (options_.kind == PoolKind::Requests) {
    error = title() + " answers HTTP requests: it cannot be drained, only restarted";
    return false;
  }
  if (draining()) {
    error = title() + " is shutting down";
    return false;
  }
  if (hold_ != Hold::Drained) hold_back(lock, Hold::Drained);
  return true;
}

bool Pool::resume(std::string& error) {
  Lock lock(mutex_);
  if (draining()) {
    error = title() + " is shutting down";
    return false;
  }
  if (hold_ == Hold::None) return true;
  hold_ = Hold::None;
  dispatch_.resume(lock);
  // What queued up meanwhile wants a worker even where none is started at boot.
  const size_t waiting = dispatch_.mailbox().size();
  const uint32_t wanted = std::max(options_.num, waiting > 0 ? 1u : 0u);
  bool started = true;
  while (started && staying(lock) < wanted) started = spawn(lock, error);
  std::vector<Ref<Task>> hopeless;
  if (!started && staying(lock) == 0) hopeless = give_up_queue(lock, error);
  arm_reoffer(lock);
  lock.unlock();
  for (const Ref<Task>& task : hopeless) {
    Failure failure;
    failure.reason = Reason::WorkerLost;
    failure.message = error;
    task->fail(std::move(failure));
  }
  return started;
}

bool Pool::restart_worker(uint32_t index) {
  Lock lock(mutex_);
  if (index >= slots_.size()) return false;
  WorkerSlot& slot = *slots_[index];
  if (slot.state_ == WorkerSlot::State::Stopped || slot.state_ == WorkerSlot::State::Lost) return false;
  stop_slot(lock, slot, WorkerSlot::Stop::Restart);
  return true;
}

bool Pool::restart(std::string& error) {
  uint32_t wanted = 0;
  bool paused = false;
  {
    Lock lock(mutex_);
    if (draining()) {
      error = title() + " is shutting down";
      return false;
    }
    if (hold_ == Hold::Drained) {
      error = title() + " is drained: resume it instead";
      return false;
    }
    if (restarting_) {
      error = title() + " is being restarted already";
      return false;
    }
    restarting_ = true;
    wanted = staying(lock);
    paused = hold_ == Hold::Paused;
  }
  const auto self = shared_from_this();
  const std::shared_ptr<Scope> home_before = home();
  const auto successor = create(options_, host_, home_before, self);
  const auto done = [&] {
    Lock lock(mutex_);
    restarting_ = replaced_ = false;
  };
  // From here on whoever closes the last scope that holds it waits for its threads too.
  std::vector<std::shared_ptr<Scope>> scopes = holders();
  std::erase_if(scopes, [&](const auto& scope) { return !scope->attach(successor); });
  const auto drop = [&] {
    successor->begin_drain();
    successor->finish_drain();
    for (const auto& scope : scopes) scope->detach(successor);
    done();
    return false;
  };
  if (scopes.empty()) {
    error = title() + " is not in use any more";
    done();
    return false;
  }
  Failure failure;
  const uint32_t count = wanted == 0 ? 0 : std::max(wanted, options_.num);
  if (!successor->start(count, error)) return drop();
  if (!successor->wait_ready(count, after(now(), options_.boot_timeout), error, failure)) {
    if (failure.line != 0) error += " in " + failure.file + " on line " + std::to_string(failure.line);
    return drop();
  }
  if (paused && !successor->pause(error)) return drop();
  // A reload may have come to hold it while the new one started; from here on it gets the new one.
  {
    Lock lock(mutex_);
    replaced_ = true;
  }
  for (auto& scope : holders()) {
    if (std::find(scopes.begin(), scopes.end(), scope) != scopes.end()) continue;
    if (scope->attach(successor)) scopes.push_back(std::move(scope));
  }
  bool in_place = false;
  for (const auto& scope : scopes) in_place = scope->replace(self, successor) || in_place;
  if (!in_place) {
    error = title() + " is not in use any more";
    return drop();
  }
  counters_->restarts_restarted.fetch_add(wanted, std::memory_order_relaxed);
  if (const auto today = home(); today != home_before) successor->move_home(today);  // a reload kept the pool
  begin_drain(successor);
  // What an operator did to this pool while the new one started counts for that one; from here on it can't be done
  // to this one any more.
  Hold hold;
  {
    Lock lock(mutex_);
    hold = hold_;
  }
  std::string ignored;
  if (hold == Hold::None && paused) successor->resume(ignored);
  if (hold == Hold::Paused && !paused) successor->pause(ignored);
  if (hold == Hold::Drained) successor->drain(ignored);
  // Not before: whoever lets go last drains, and knows of no successor.
  for (const auto& scope : scopes) let_go(*scope);
  finish_drain_later();
  done();
  return true;
}

void Pool::follows(const std::shared_ptr<Pool>& predecessor) {
  Lock lock(mutex_);
  std::erase_if(predecessors_, [](const auto& one) { return one.expired(); });
  predecessors_.push_back(predecessor);
}

// All that went before it and are still there, each once: a reload and a restart at the same time make two ways to one.
std::vector<std::shared_ptr<Pool>> Pool::predecessors() {
  std::vector<std::shared_ptr<Pool>> pools{shared_from_this()};
  for (size_t i = 0; i < pools.size(); ++i) {
    const auto pool = pools[i];
    Lock lock(pool->mutex_);
    for (const auto& one : pool->predecessors_) {
      auto before = one.lock();
      if (before && std::find(pools.begin(), pools.end(), before) == pools.end()) pools.push_back(std::move(before));
    }
  }
  pools.erase(pools.begin());
  return pools;
}

Ref<Task> Pool::find_task(uint64_t id) {
  if (auto found = find_own_task(id)) return found;
  for (const auto& pool : predecessors()) {
    if (auto found = pool->find_own_task(id)) return found;
  }
  return nullptr;
}

Ref<Task> Pool::find_own_task(uint64_t id) {
  Lock lock(mutex_);
  for (const auto& slot : slots_) {
    if (slot->offered_ && slot->offered_->id() == id) return slot->offered_;
    for (Task* task = slot->running_; task != nullptr; task = task->next_) {
      if (task->id() == id && !task->ended()) return Ref<Task>(task);
    }
  }
  for (Task* task = dispatch_.mailbox().first(); task != nullptr; task = Mailbox::next(*task)) {
    if (task->id() == id && task->admission_ == Task::Admission::Accepted) return Ref<Task>(task);
  }
  return nullptr;
}

// --- state, for display ------------------------------------------------------------------------------

PoolReport Pool::report() {
  PoolReport report = own_report();
  for (const auto& pool : predecessors()) report.append_old(pool->own_report());
  return report;
}

PoolReport Pool::own_report() {
  PoolReport report;
  const auto list = [&](const Task& task, const WorkerSlot* worker) {
    if (report.tasks.size() == PoolReport::kMostTasks) {
      ++report.tasks_omitted;
      return;
    }
    report.tasks.push_back({task.id(), worker != nullptr, task.created(), task.payload_size(), task.origin(),
                            worker != nullptr ? worker->index() : 0});
  };
  Lock lock(mutex_);
  report.at = now();
  bool any_thread = false;
  for (const auto& slot : slots_) {
    if (slot->offered_) list(*slot->offered_, nullptr);
  }
  for (Task* task = dispatch_.mailbox().first(); task != nullptr; task = Mailbox::next(*task)) {
    if (task->admission_ == Task::Admission::Accepted) list(*task, nullptr);
  }
  for (const auto& slot : slots_) {
    for (Task* task = slot->running_; task != nullptr; task = task->next_) {
      if (!task->ended()) list(*task, slot.get());
    }
    if (slot->state_ == WorkerSlot::State::Stopped) continue;
    WorkerReport worker;
    worker.index = slot->index();
    worker.since = slot->since_;
    worker.tasks = slot->running_count_;
    worker.handled = slot->handled_;
    worker.starts = slot->runs_;
    worker.memory = slot->memory_.load(std::memory_order_relaxed);
    {
      std::lock_guard activity(slot->activity_mutex_);
      worker.activity = slot->activity_;
      if (slot->activity_since_ > worker.since) worker.since = slot->activity_since_;
    }
    const bool busy = worker.tasks > 0 || !worker.activity.empty();
    switch (slot->state_) {
      case WorkerSlot::State::Restarting:
        worker.state = WorkerReport::State::Restarting;
        break;
      case WorkerSlot::State::Lost:
        worker.state = WorkerReport::State::Lost;
        break;
      case WorkerSlot::State::Stopped:
      case WorkerSlot::State::Starting:
        worker.state = slot->stopping() ? WorkerReport::State::Stopping : WorkerReport::State::Starting;
        break;
      case WorkerSlot::State::Ready:
        worker.state = slot->stopping() ? WorkerReport::State::Stopping
                       : busy           ? WorkerReport::State::Busy
                                        : WorkerReport::State::Idle;
        break;
    }
    any_thread = any_thread || slot->state_ != WorkerSlot::State::Lost;
    report.workers.push_back(std::move(worker));
  }
  if (draining()) {
    report.state = PoolReport::State::Stopping;
  } else if (hold_ == Hold::Paused) {
    report.state = PoolReport::State::Paused;
  } else if (hold_ == Hold::Drained) {
    report.state = any_thread ? PoolReport::State::Draining : PoolReport::State::Drained;
  }
  if (supervision_.breaker_open()) {
    report.breaker = supervision_.half_open() ? PoolReport::Breaker::HalfOpen : PoolReport::Breaker::Open;
  }
  report.consecutive_failures = supervision_.consecutive_failures();
  report.ever_ready = ever_ready_;
  report.queued = dispatch_.mailbox().accepted();
  for (const auto& slot : slots_) report.queued += static_cast<bool>(slot->offered_);
  report.blocked_senders = dispatch_.mailbox().size() - dispatch_.mailbox().accepted();
  if (last_failure_at_ != TimePoint{}) {
    report.last_failure = last_failure_;
    report.last_failure_at = last_failure_at_;
  }
  lock.unlock();
  if (const auto snapshot = snapshots_->latest()) {
    report.snapshot = {snapshot->version(), snapshot->published(), snapshot->payload().size()};
  }
  return report;
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
