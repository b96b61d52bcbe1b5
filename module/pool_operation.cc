// The part of a pool by which it is looked at and steered while it runs.
#include <algorithm>

#include "module/log.h"
#include "module/pool.h"
#include "module/scope.h"
#include "module/text.h"

namespace igor {

// --- holders ---------------------------------------------------------------------------------------

bool Pool::hold(const std::shared_ptr<Scope>& scope) {
  Lock lock(mutex_);
  if (let_go_ || replaced_ || draining() || relieved()) return false;
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
void Pool::hold_back(Lock& lock, Hold hold) noexcept {
  hold_ = hold;
  dispatch_.pause(lock, slots_);
  if (hold != Hold::Drained) return;
  for (const auto& slot : slots_) stop_slot(lock, *slot, WorkerSlot::Stop::Retire);
}

bool Pool::pause(std::string& error) noexcept {
  Lock lock(mutex_);
  if (options_.kind == PoolKind::Requests) {
    put_text(error, {title(), " answers HTTP requests: it cannot be paused, only restarted"});
    return false;
  }
  if (draining()) {
    put_text(error, {title(), " is shutting down"});
    return false;
  }
  if (hold_ == Hold::None) hold_back(lock, Hold::Paused);
  return true;
}

bool Pool::drain(std::string& error) noexcept {
  Lock lock(mutex_);
  if (options_.kind == PoolKind::Requests) {
    put_text(error, {title(), " answers HTTP requests: it cannot be drained, only restarted"});
    return false;
  }
  if (draining()) {
    put_text(error, {title(), " is shutting down"});
    return false;
  }
  if (hold_ != Hold::Drained) hold_back(lock, Hold::Drained);
  return true;
}

bool Pool::resume(std::string& error) noexcept {
  Lock lock(mutex_);
  if (draining()) {
    put_text(error, {title(), " is shutting down"});
    return false;
  }
  if (hold_ == Hold::None) return true;
  hold_ = Hold::None;
  dispatch_.resume(lock);
  // What queued up meanwhile wants a worker even where none is started at boot.
  const size_t waiting = dispatch_.mailbox().size();
  const uint32_t wanted = relieved() ? 0 : std::max(options_.num, waiting > 0 ? 1u : 0u);
  bool started = true;
  while (started && staying(lock) < wanted) started = spawn(lock, error);
  TaskList hopeless;
  if (!started && staying(lock) == 0) hopeless = give_up_queue(lock);
  arm_reoffer(lock);
  lock.unlock();
  fail_all(std::move(hopeless), Failure(Reason::WorkerLost, {error}));
  return started;
}

bool Pool::restart_worker(uint32_t index) noexcept {
  Lock lock(mutex_);
  if (index >= slots_.size()) return false;
  WorkerSlot& slot = *slots_[index];
  if (slot.state_ == WorkerSlot::State::Stopped || slot.state_ == WorkerSlot::State::Lost) return false;
  stop_slot(lock, slot, WorkerSlot::Stop::Restart);
  return true;
}

bool Pool::restart(std::string& error) {
  const auto not_in_use = [&] {
    put_text(error, {title(), " is not in use any more"});
    return false;
  };
  uint32_t wanted = 0;
  bool paused = false;
  {
    Lock lock(mutex_);
    if (draining()) {
      put_text(error, {title(), " is shutting down"});
      return false;
    }
    if (relieved()) return not_in_use();
    if (hold_ == Hold::Drained) {
      put_text(error, {title(), " is drained: resume it instead"});
      return false;
    }
    if (restarting_) {
      put_text(error, {title(), " is being restarted already"});
      return false;
    }
    restarting_ = true;
    wanted = staying(lock);
    paused = hold_ == Hold::Paused;
  }
  const auto self = shared_from_this();
  // However this ends, the memory's end included.
  struct Mark {
    Pool& pool;
    ~Mark() {
      Lock lock(pool.mutex_);
      pool.restarting_ = pool.replaced_ = false;
    }
  } mark{*this};
  const std::shared_ptr<Scope> home_before = home();
  const auto successor = create(options_, host_, home_before, self);
  // The successor and the scopes that it is attached to: whoever closes the last of these waits for its threads too.
  // Dropped unless it comes into its place.
  struct Trial {
    const std::shared_ptr<Pool>& successor;
    std::vector<std::shared_ptr<Scope>> scopes;
    bool in_place = false;

    void attach(std::vector<std::shared_ptr<Scope>> holders) {
      scopes.reserve(scopes.size() + holders.size());
      for (auto& scope : holders) {
        if (std::find(scopes.begin(), scopes.end(), scope) != scopes.end()) continue;
        if (scope->attach(successor)) scopes.push_back(std::move(scope));
      }
    }
    ~Trial() {
      if (in_place) return;
      successor->begin_drain();
      successor->finish_drain();
      for (const auto& scope : scopes) scope->detach(successor);
    }
  } trial{successor, {}};
  trial.attach(holders());
  if (trial.scopes.empty()) return not_in_use();
  Failure failure;
  const uint32_t count = wanted == 0 ? 0 : std::max(wanted, options_.num);
  if (!successor->start(count, error)) return false;
  if (!successor->wait_ready(count, after(now(), options_.boot_timeout), error, failure)) {
    if (failure.line != 0) error += " in " + failure.file + " on line " + std::to_string(failure.line);
    return false;
  }
  if (paused && !successor->pause(error)) return false;
  // A reload may have come to hold it while the new one started; from here on it gets the new one.
  {
    Lock lock(mutex_);
    if (relieved()) return not_in_use();
    replaced_ = true;
  }
  trial.attach(holders());
  for (const auto& scope : trial.scopes) trial.in_place = scope->replace(self, successor) || trial.in_place;
  if (!trial.in_place) return not_in_use();
  counters_->restarts_restarted.fetch_add(wanted, std::memory_order_relaxed);
  if (const auto today = home(); today != home_before) successor->move_home(today);  // a reload kept the pool
  begin_drain(successor);
  // A reload has handed this one over in the same moment: to what has its place there.
  if (const auto other = this->successor(); other && other != successor) successor->hand_over(other);
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
  for (const auto& scope : trial.scopes) let_go(*scope);
  finish_drain_later();
  return true;
}

void Pool::follows(const std::shared_ptr<Pool>& predecessor) noexcept {
  Lock lock(mutex_);
  const auto is_it = [&](const std::weak_ptr<Pool>& one) { return one.lock() == predecessor; };
  std::erase_if(predecessors_, [](const auto& one) { return one.expired(); });
  if (std::any_of(predecessors_.begin(), predecessors_.end(), is_it)) return;
  try {
    predecessors_.push_back(predecessor);
  } catch (const std::bad_alloc&) {
    // Then reports lack what is left of it: it drains all the same.
  }
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
