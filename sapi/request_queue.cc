#include "sapi/request_queue.h"

#include <algorithm>
#include <new>
#include <utility>

#include "module/activity.h"
#include "module/log.h"
#include "module/timers.h"
#include "module/times.h"
#include "module/worker_slot.h"
#include "sapi/cpu_load.h"

namespace igor::sapi {
namespace {

// How often requests that wait are looked after when nothing is to be done for them but to wait.
constexpr Duration kWatch = std::chrono::milliseconds(100);

constexpr const char* kShuttingDown = "the worker is shutting down";

HttpRequest::Clock::time_point wait_end(Duration bound) {
  return bound > Duration::zero() ? HttpRequest::Clock::now() + bound : HttpRequest::Clock::time_point::max();
}

void log_refused(const std::string& worker, size_t count, const std::string& why) {
  LogQueue::global().push([&] {
    LogRecord record;
    record.level = kLogError;
    record.logger = "worker";
    record.message = "HTTP requests refused: " + why;
    record.fields = {{"worker", worker}, {"requests", std::to_string(count)}};
    return record;
  });
}

}  // namespace

RequestQueue::RequestQueue(Options options) : options_(std::move(options)) {}

RequestQueue::~RequestQueue() {
  for (Waiting& one : waiting_) one.request->refuse(kShuttingDown);
  for (const Crew& crew : crews_) {
    for (uint32_t i = 0; i < crew.spare; ++i) options_.budget->put_back();
  }
}

std::shared_ptr<RequestQueue> RequestQueue::of(const Pool& pool) {
  if (pool.options().kind != PoolKind::Requests) return nullptr;
  return std::static_pointer_cast<RequestQueue>(pool.options().host_data);
}

// --- any thread ---------------------------------------------------------------------------------------

bool RequestQueue::submit(HttpRequest& request, const std::shared_ptr<Pool>& pool) {
  std::shared_ptr<Pool> kept;  // owns the slot while it is woken: its thread may be done and gone by then
  WorkerSlot* slot;
  {
    Lock lock(mutex_);
    // The pool may have no thread yet. One that stops has a successor, or nobody: anyone may serve what it gets.
    const uint64_t age = pool->draining() ? 0 : crew_of(lock, pool).age;
    Ref<HttpRequest> wanted(&request);
    slot = hand_over(lock, wanted, age, kept);
    if (slot == nullptr) {
      const Duration bound = request.max_wait().count() > 0 ? Duration(request.max_wait()) : max_wait(*pool);
      request.queued_in(shared_from_this(), wait_end(bound));
      waiting_.push_back({std::move(wanted), now(), age});
      watch(lock, kStall);
      return true;
    }
  }
  slot->wakeup().notify();
  return true;
}

Duration RequestQueue::max_wait(const Pool& pool) const {
  return pool.options().max_wait > Duration::zero() ? pool.options().max_wait : options_.max_wait;
}

// To the warmest of the idle workers that may serve it; the caller wakes it without the lock. Null without one.
WorkerSlot* RequestQueue::hand_over(const Lock&, Ref<HttpRequest>& request, uint64_t age, std::shared_ptr<Pool>& kept) {
  const auto found = std::find_if(idle_.rbegin(), idle_.rend(), [&](const Seat* one) { return one->age_ >= age; });
  if (found == idle_.rend()) return nullptr;
  Seat& seat = **found;
  idle_.erase(std::next(found).base());
  seat.idle_ = false;
  seat.current_ = std::move(request);
  seat.current_for_ = age;
  seat.waited_ = {};
  kept = seat.slot_.pool().shared_from_this();
  return &seat.slot_;
}

bool RequestQueue::withdraw(HttpRequest& request) noexcept {
  Lock lock(mutex_);
  const auto found =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& one) { return one.request.get() == &request; });
  if (found == waiting_.end()) return false;
  waiting_.erase(found);  // the caller holds a reference of its own
  return true;
}

RequestQueue::Load RequestQueue::load() const {
  Lock lock(mutex_);
  return {static_cast<uint32_t>(waiting_.size()), static_cast<uint32_t>(idle_.size()),
          waiting_.empty() ? Duration::zero() : Duration(now() - waiting_.front().since)};
}

void RequestQueue::abort(WorkerSlot& slot) {
  Ref<HttpRequest> request;
  bool first = false;
  {
    Lock lock(mutex_);
    for (Seat* seat : seats_) {
      // What it was handed and has not taken it hands back, unharmed; should it take it after all, we are called again.
      if (&seat->slot_ != &slot || !seat->taken_) continue;
      request = seat->current_;
      first = !std::exchange(seat->aborted_, true);
    }
  }
  if (!request) return;
  request->abort();
  if (!first) return;
  // A little later than the pool gives up, counted from the same first interrupt.
  Timers::global().schedule(after(now(), Pool::kForceTime + kWatch), [self = weak_from_this(), &slot, request] {
    if (const auto queue = self.lock()) queue->give_up(slot, *request);
  });
}

// The slot is only compared: it may be gone.
void RequestQueue::give_up(const WorkerSlot& slot, HttpRequest& request) {
  {
    Lock lock(mutex_);
    const auto seat = std::find_if(seats_.begin(), seats_.end(), [&](const Seat* one) {
      return &one->slot_ == &slot && one->current_.get() == &request && !one->lost_;
    });
    if (seat == seats_.end()) return;
    (*seat)->lost_ = true;
    step_out(lock, **seat);
  }
  request.abandon();
}

// --- a worker's thread --------------------------------------------------------------------------------

void RequestQueue::join(Seat& seat) {
  Lock lock(mutex_);
  // First what may fail. There is room for every seat among the idle ones, see take().
  seats_.reserve(seats_.size() + 1);
  idle_.reserve(seats_.size() + 1);
  Crew& crew = crew_of(lock, seat.slot_.pool().shared_from_this());
  ++crew.here;
  seat.age_ = crew.age;
  if (crew.coming > 0) --crew.coming;
  settle_budget(lock, crew);
  seats_.push_back(&seat);
  if (!may_retire(lock, seat)) return;
  // One too many from now on: those that became idle before wait for no end yet.
  for (Seat* one : idle_) {
    if (one->age_ == seat.age_) one->slot_.wakeup().notify();
  }
}

void RequestQueue::leave(Seat& seat) {
  Lock lock(mutex_);
  std::erase(seats_, &seat);
  if (!seat.lost_) step_out(lock, seat);
  forget_gone_crews(lock);
}

void RequestQueue::step_out(const Lock& lock, Seat& seat) {
  Crew& crew = crew_of(lock, seat.slot_.pool().shared_from_this());
  --crew.here;
  if (seat.retiring_) --crew.retiring;
  settle_budget(lock, crew);
}

HttpRequest* RequestQueue::take(Seat& seat, Interrupt* interrupt) noexcept {
  activity::idle_end();
  WorkerSlot& slot = seat.slot_;
  Lock lock(mutex_);
  if (slot.stopping() || interrupted(interrupt)) return nullptr;
  const auto next =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& one) { return one.age <= seat.age_; });
  if (next != waiting_.end()) {
    seat.current_ = std::move(next->request);
    seat.current_for_ = next->age;
    seat.waited_ = now() - next->since;
    waiting_.erase(next);
    seat.taken_ = true;
    seat.current_->started();
    return seat.current_.get();
  }
  const TimePoint idle_until = after(now(), options_.max_idle);
  seat.idle_ = true;
  idle_.push_back(&seat);
  for (;;) {
    // Before the conditions: what changes them notifies afterwards, so the wait then ends at once.
    const Wakeup::Ticket ticket = slot.wakeup().ticket();
    if (!seat.idle_) break;
    if (slot.stopping() || interrupted(interrupt)) {
      seat.idle_ = false;
      std::erase(idle_, &seat);
      return nullptr;
    }
    TimePoint until = kNever;
    if (may_retire(lock, seat)) {
      until = idle_until;
      if (now() >= idle_until) {
        seat.idle_ = false;
        std::erase(idle_, &seat);
        seat.retiring_ = true;
        ++crew_of(lock, slot.pool().shared_from_this()).retiring;
        lock.unlock();
        slot.stop(WorkerSlot::Stop::Retire);
        return nullptr;
      }
    }
    lock.unlock();
    slot.wakeup().wait(ticket, until, interrupt);
    lock.lock();
  }
  if (!interrupted(interrupt)) {
    seat.taken_ = true;
    return seat.current_.get();
  }
  // Somebody else shall serve it: this script is about to be unwound.
  Ref<HttpRequest> back = std::move(seat.current_);
  seat.current_ = nullptr;
  std::shared_ptr<Pool> kept;
  if (WorkerSlot* other = hand_over(lock, back, seat.current_for_, kept)) {
    lock.unlock();
    other->wakeup().notify();
    return nullptr;
  }
  back->queued_in(shared_from_this(), wait_end(max_wait(slot.pool())));
  try {
    waiting_.push_front({back, now(), seat.current_for_});
    watch(lock, kStall);
  } catch (const std::bad_alloc&) {
    lock.unlock();
    back->refuse("out of memory");
  }
  return nullptr;
}

void RequestQueue::done(Seat& seat) noexcept {
  Ref<HttpRequest> served;  // its end needs no lock
  Lock lock(mutex_);
  served = std::move(seat.current_);
  seat.current_ = nullptr;
  seat.taken_ = seat.aborted_ = false;
  lock.unlock();
}

// --- crews --------------------------------------------------------------------------------------------

RequestQueue::Crew& RequestQueue::crew_of(const Lock&, const std::shared_ptr<Pool>& pool) {
  for (Crew& crew : crews_) {
    if (crew.key == pool.get() && !crew.pool.expired()) return crew;
  }
  crews_.push_back({pool.get(), pool, pool->options().num, ++ages_});
  return crews_.back();
}

// As many from the budget as there are threads beyond `num`, whichever those are.
void RequestQueue::settle_budget(const Lock&, Crew& crew) {
  const uint32_t threads = crew.here + crew.coming;
  const uint32_t wanted = options_.budget != nullptr && threads > crew.num ? threads - crew.num : 0;
  for (; crew.spare < wanted; ++crew.spare) options_.budget->take_anyway();
  for (; crew.spare > wanted; --crew.spare) options_.budget->put_back();
}

void RequestQueue::forget_gone_crews(const Lock& lock) noexcept {
  // A successor takes over what waits, even if none of its threads has come yet.
  try {
    for (size_t i = 0; i < crews_.size(); ++i) {
      const std::shared_ptr<Pool> pool = crews_[i].pool.lock();
      if (const auto successor = pool ? pool->successor() : nullptr) crew_of(lock, successor);
    }
  } catch (const std::bad_alloc&) {
    // Its first thread makes up for it.
  }
  std::erase_if(crews_, [&](Crew& crew) {
    const std::shared_ptr<Pool> pool = crew.pool.lock();
    if (pool && (!pool->draining() || crew.here != 0)) return false;
    crew.here = crew.coming = 0;
    settle_budget(lock, crew);
    return true;
  });
}

// Requests that came for a pool that stops (a configuration that did not start, after all) are anyone's to serve; the
// caller wakes those who got one without the lock.
void RequestQueue::give_to_anyone(const Lock& lock, std::vector<std::shared_ptr<Pool>>& kept,
                                  std::vector<WorkerSlot*>& woken) {
  std::erase_if(waiting_, [&](Waiting& one) {
    const auto crew = std::find_if(crews_.begin(), crews_.end(), [&](const Crew& c) { return c.age == one.age; });
    const std::shared_ptr<Pool> pool = crew == crews_.end() ? nullptr : crew->pool.lock();
    if (!pool || pool->draining()) one.age = 0;
    if (one.age != 0) return false;
    std::shared_ptr<Pool> owner;
    WorkerSlot* slot = hand_over(lock, one.request, 0, owner);
    if (slot == nullptr) return false;
    kept.push_back(std::move(owner));
    woken.push_back(slot);
    return true;
  });
}

bool RequestQueue::may_retire(const Lock& lock, const Seat& seat) {
  const Crew& crew = crew_of(lock, seat.slot_.pool().shared_from_this());
  return crew.here - crew.retiring > crew.num;
}

// --- looking after those that wait --------------------------------------------------------------------

void RequestQueue::watch(const Lock&, Duration in) {
  if (watched_) return;
  watched_ = Timers::global().schedule(after(now(), in), [self = weak_from_this()] {
    if (const auto queue = self.lock()) queue->look_after();
  }) != 0;
}

// On the timer's thread.
void RequestQueue::look_after() {
  std::vector<std::shared_ptr<Pool>> pools;
  std::vector<std::shared_ptr<Pool>> kept;  // own the slots while they are woken
  std::vector<WorkerSlot*> woken;
  bool waiting = false;
  {
    Lock lock(mutex_);
    watched_ = false;
    forget_gone_crews(lock);
    give_to_anyone(lock, kept, woken);
    waiting = !waiting_.empty();
    for (const Crew& crew : crews_) {
      if (auto pool = crew.pool.lock()) pools.push_back(std::move(pool));
    }
  }
  for (WorkerSlot* slot : woken) slot->wakeup().notify();
  if (!waiting) return;
  Duration next = kWatch;
  bool served = false;
  std::string why = kShuttingDown;
  for (const auto& pool : pools) {
    if (pool->draining()) continue;
    const Pool::Stats stats = pool->stats();
    const bool somebody = stats.starting + stats.ready > 0;
    if (!somebody && stats.breaker_open) {
      why = std::string("the worker failed ") + Times(stats.consecutive_failures, Times::InARow).text() +
            " and is not running; it is tried again later";
      continue;
    }
    served = true;
    if (stats.threads == stats.lost) {
      std::string error;
      if (!pool->grow(error)) {
        served = false;
        why = error;
      }
    } else {
      next = std::min(next, grow_if_it_helps(pool, stats));
    }
  }
  if (!served) {
    refuse_all(pools, why);
    return;
  }
  Lock lock(mutex_);
  if (!waiting_.empty()) watch(lock, next);
}

// Returns when to look again.
Duration RequestQueue::grow_if_it_helps(const std::shared_ptr<Pool>& pool, const Pool::Stats& stats) {
  if (options_.budget == nullptr || stats.threads - stats.lost >= pool->options().max_threads) return kWatch;
  {
    Lock lock(mutex_);
    const uint64_t age = crew_of(lock, pool).age;
    const auto may_take = [age](const Waiting& one) { return one.age <= age; };
    // Those that start now will take some of them.
    const auto count = std::count_if(waiting_.begin(), waiting_.end(), may_take);
    if (count <= int64_t{stats.starting} + stats.restarting) return kWatch;
    if (now() - std::find_if(waiting_.begin(), waiting_.end(), may_take)->since < kStall) return kStall;
  }
  if (!options_.budget->any_left()) return kWatch;
  if (options_.cpu_left) {
    if (!options_.cpu_left()) return kWatch;
  } else {
    const CpuLoad::Answer answer = CpuLoad::global().ask();
    if (answer == CpuLoad::Answer::Unknown) return 4 * kStall;
    if (answer == CpuLoad::Answer::Saturated) return kWatch;
  }
  if (!options_.budget->take()) return kWatch;
  {
    Lock lock(mutex_);
    Crew& crew = crew_of(lock, pool);
    ++crew.coming;
    ++crew.spare;
  }
  std::string error;
  const uint32_t before = pool->size();
  if (pool->grow(error) && pool->size() > before) {
    LogQueue::global().push([&] {
      LogRecord record;
      record.logger = "worker";
      record.message = "requests wait: one HTTP worker more";
      record.fields = {{"worker", pool->options().name}, {"threads", std::to_string(before + 1)}};
      return record;
    });
    return kStall;
  }
  Lock lock(mutex_);
  Crew& crew = crew_of(lock, pool);
  if (crew.coming > 0) --crew.coming;
  settle_budget(lock, crew);
  return kWatch;
}

// Unless a pool has come that is not among those that were asked.
void RequestQueue::refuse_all(const std::vector<std::shared_ptr<Pool>>& asked, const std::string& why) {
  std::deque<Waiting> refused;
  std::string worker;
  {
    Lock lock(mutex_);
    forget_gone_crews(lock);
    for (const Crew& crew : crews_) {
      const auto is_it = [&](const std::shared_ptr<Pool>& one) { return one.get() == crew.key; };
      if (std::any_of(asked.begin(), asked.end(), is_it)) continue;
      if (!waiting_.empty()) watch(lock, kStall);
      return;
    }
    refused.swap(waiting_);
    if (!crews_.empty()) {
      if (const auto pool = crews_.back().pool.lock()) worker = pool->options().name;
    }
  }
  for (Waiting& one : refused) one.request->refuse(why);
  if (!refused.empty()) log_refused(worker, refused.size(), why);
}

}  // namespace igor::sapi
