#include "module/scope.h"

#include <algorithm>
#include <mutex>

namespace igor {

bool Scope::add(PoolOptions options, std::string& error) {
  std::unique_lock lock(mutex_);
  if (closed()) {
    error = "the configuration that owns scope \"" + label_ + "\" is closed";
    return false;
  }
  if (options.name.empty() && options.kind == PoolKind::Requests) {
    error = "a pool of HTTP workers without a name: only background workers can be a catch-all";
    return false;
  }
  if (options.name.empty()) {
    if (catch_all_) {
      error = "two background workers without a name in one scope: only one can be the catch-all";
      return false;
    }
    catch_all_ = std::move(options);
    return true;
  }
  const bool requests = options.kind == PoolKind::Requests;
  Pools& pools = requests ? request_pools_ : pools_;
  if (pools.contains(options.name)) {
    error = (requests ? "two workers named \"" : "two background workers named \"") + options.name +
            "\" in one scope: names must differ";
    return false;
  }
  put(pools, std::move(options));
  return true;
}

// The place comes first: a pool that is held must be in the map, for who closes the scope to let go of it.
std::shared_ptr<Pool> Scope::put(Pools& pools, PoolOptions options) {
  const auto place = pools.try_emplace(options.name).first;
  try {
    place->second = obtain(std::move(options));
  } catch (...) {
    pools.erase(place);
    throw;
  }
  return place->second;
}

// The predecessor's pool when it is the same, else a new one. Under the lock.
std::shared_ptr<Pool> Scope::obtain(PoolOptions options) {
  std::shared_ptr<Pool> before;
  if (const auto predecessor = predecessor_.lock()) before = predecessor->pool(options.kind, options.name);
  while (before && before->relieved()) before = before->successor();
  const bool same =
      before && before->options().same_as(options) && before->stamp() == FileStamp::of(before->options().file);
  if (same && before->hold(shared_from_this())) return before;
  auto pool = Pool::create(std::move(options), host_, weak_from_this(), before);
  pool->hold(shared_from_this());
  return pool;
}

std::shared_ptr<Pool> Scope::pool(PoolKind kind, std::string_view name) {
  std::shared_lock lock(mutex_);
  const Pools& pools = kind == PoolKind::Requests ? request_pools_ : pools_;
  const auto place = pools.find(name);
  return place == pools.end() ? nullptr : place->second;
}

bool Scope::has_catch_all() {
  std::shared_lock lock(mutex_);
  return catch_all_.has_value();
}

bool Scope::has_workers() {
  std::shared_lock lock(mutex_);
  return !pools_.empty() || catch_all_.has_value();
}

Scope::Lookup Scope::find(std::string_view name, std::shared_ptr<Pool>& pool) {
  if (closed() || handed_over_.load(std::memory_order_acquire)) {
    if (const auto next = successor(); next && next->find_here(name, pool) == Lookup::Found) return Lookup::Found;
  }
  return find_here(name, pool);
}

Scope::Lookup Scope::find_here(std::string_view name, std::shared_ptr<Pool>& pool) {
  if ((pool = this->pool(PoolKind::Tasks, name))) return Lookup::Found;
  if (fallback_ && (pool = fallback_->pool(PoolKind::Tasks, name))) {
    // What the fallback's catch-all has made for another scope is no listed name: this scope's own goes before it.
    if (!pool->options().catch_all || !has_catch_all()) return Lookup::Found;
    pool = nullptr;
  }
  const Lookup here = make_from_catch_all(name, pool);
  if (here != Lookup::NoSuchWorker) return here;
  if (fallback_) {
    const Lookup there = fallback_->make_from_catch_all(name, pool);
    if (there != Lookup::NoSuchWorker) return there;
  }
  return has_workers() || (fallback_ && fallback_->has_workers()) ? Lookup::NoSuchWorker : Lookup::NoWorkers;
}

Scope::Lookup Scope::make_from_catch_all(std::string_view name, std::shared_ptr<Pool>& pool) {
  std::unique_lock lock(mutex_);
  if (closed()) return Lookup::Closed;
  if (!catch_all_ || name.empty()) return Lookup::NoSuchWorker;
  if (const auto place = pools_.find(name); place != pools_.end()) {  // another thread was first
    pool = place->second;
    return Lookup::Found;
  }
  return (pool = make_named(name)) ? Lookup::Found : Lookup::CatchAllFull;
}

// A pool of the catch-all's. Under the lock; null when there are as many as may be.
std::shared_ptr<Pool> Scope::make_named(std::string_view name) {
  const uint32_t most = catch_all_->max_threads == 0 ? kCatchAllNames : catch_all_->max_threads;
  if (catch_all_made_ >= most) return nullptr;
  PoolOptions options = *catch_all_;
  options.name = name;
  options.catch_all = true;
  options.num = 0;
  options.max_threads = 1;
  auto pool = put(pools_, std::move(options));
  ++catch_all_made_;
  return pool;
}

std::vector<std::shared_ptr<Pool>> Scope::pools() {
  std::shared_lock lock(mutex_);
  std::vector<std::shared_ptr<Pool>> pools;
  pools.reserve(pools_.size() + request_pools_.size());
  for (const auto& [name, pool] : pools_) pools.push_back(pool);
  for (const auto& [name, pool] : request_pools_) pools.push_back(pool);
  return pools;
}

std::shared_ptr<Pool> Scope::successor_of(const std::shared_ptr<Pool>& pool) {
  const PoolOptions& options = pool->options();
  std::unique_lock lock(mutex_);
  if (closed()) return nullptr;
  const Pools& pools = options.kind == PoolKind::Requests ? request_pools_ : pools_;
  if (const auto place = pools.find(options.name); place != pools.end()) return place->second;
  return options.catch_all && catch_all_ ? make_named(options.name) : nullptr;
}

std::shared_ptr<Scope> Scope::successor() {
  std::shared_ptr<Scope> next;
  {
    std::shared_lock lock(mutex_);
    next = successor_;
  }
  if (!next || !next->closed()) return next;
  next = next->successor();
  if (!next) return nullptr;
  // Those in between need not be kept for this one any more.
  std::unique_lock lock(mutex_);
  successor_.swap(next);
  return successor_;
}

Scope::Start Scope::prepare_start() {
  // What a catch-all of the predecessor has made comes over as well.
  if (const auto predecessor = predecessor_.lock()) {
    for (const auto& pool : predecessor->pools()) successor_of(pool);
  }
  return pools();
}

void Scope::started(Start start) noexcept {
  for (const auto& pool : start) pool->move_home(weak_from_this());
  const auto predecessor = predecessor_.lock();
  if (!predecessor) return;
  {
    std::unique_lock lock(predecessor->mutex_);
    predecessor->successor_ = shared_from_this();
  }
  // Those whose predecessor has ended without knowing of them: nobody else is in charge.
  for (const auto& pool : start) pool->take_charge_if_vacant();
}

void Scope::close() noexcept {
  std::unique_lock lock(mutex_);
  closed_.store(true, std::memory_order_release);
}

bool Scope::attach(const std::shared_ptr<Pool>& pool) {
  std::unique_lock lock(mutex_);
  std::erase_if(attached_, [](const auto& one) { return one->finished(); });
  attached_.reserve(attached_.size() + 1);
  if (closed() || !pool->hold(shared_from_this())) return false;
  attached_.push_back(pool);
  return true;
}

void Scope::detach(const std::shared_ptr<Pool>& pool) noexcept {
  {
    std::unique_lock lock(mutex_);
    std::erase(attached_, pool);
  }
  pool->let_go(*this);
}

bool Scope::replace(const std::shared_ptr<Pool>& old, const std::shared_ptr<Pool>& next) noexcept {
  std::unique_lock lock(mutex_);
  Pools& pools = old->options().kind == PoolKind::Requests ? request_pools_ : pools_;
  const auto place = pools.find(old->options().name);
  if (closed() || place == pools.end() || place->second != old) return false;
  place->second = next;
  std::erase(attached_, next);
  attached_.push_back(old);
  return true;
}

size_t Scope::attached_count() noexcept {
  std::shared_lock lock(mutex_);
  return attached_.size();
}

std::shared_ptr<Pool> Scope::attached(size_t index) noexcept {
  std::shared_lock lock(mutex_);
  return index < attached_.size() ? attached_[index] : nullptr;
}

}  // namespace igor
