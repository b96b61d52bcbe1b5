#include "module/scope.h"

#include <mutex>

namespace igor {

bool Scope::add(PoolOptions options, std::string& error) {
  std::unique_lock lock(mutex_);
  if (closed_) {
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
  const std::string name = options.name;
  const bool requests = options.kind == PoolKind::Requests;
  Pools& pools = requests ? request_pools_ : pools_;
  if (pools.contains(name)) {
    error = (requests ? "two workers named \"" : "two background workers named \"") + name +
            "\" in one scope: names must differ";
    return false;
  }
  pools.emplace(name, Pool::create(std::move(options), host_, weak_from_this()));
  return true;
}

std::shared_ptr<Pool> Scope::pool(PoolKind kind, std::string_view name) {
  std::shared_lock lock(mutex_);
  const Pools& pools = kind == PoolKind::Requests ? request_pools_ : pools_;
  const auto place = pools.find(name);
  return place == pools.end() ? nullptr : place->second;
}

bool Scope::has_workers() {
  std::shared_lock lock(mutex_);
  return !pools_.empty() || catch_all_.has_value();
}

Scope::Lookup Scope::find(std::string_view name, std::shared_ptr<Pool>& pool) {
  if ((pool = this->pool(PoolKind::Tasks, name))) return Lookup::Found;
  if (fallback_ && (pool = fallback_->pool(PoolKind::Tasks, name))) return Lookup::Found;
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
  if (closed_) return Lookup::Closed;
  if (!catch_all_ || name.empty()) return Lookup::NoSuchWorker;
  if (const auto place = pools_.find(name); place != pools_.end()) {  // another thread was first
    pool = place->second;
    return Lookup::Found;
  }
  const uint32_t most = catch_all_->max_threads == 0 ? kCatchAllNames : catch_all_->max_threads;
  if (catch_all_made_ >= most) return Lookup::CatchAllFull;
  PoolOptions options = *catch_all_;
  options.name = name;
  options.num = 0;
  options.max_threads = 1;
  pool = Pool::create(std::move(options), host_, weak_from_this());
  pools_.emplace(name, pool);
  ++catch_all_made_;
  return Lookup::Found;
}

std::vector<std::shared_ptr<Pool>> Scope::pools() {
  std::shared_lock lock(mutex_);
  std::vector<std::shared_ptr<Pool>> pools;
  pools.reserve(pools_.size() + request_pools_.size());
  for (const auto& [name, pool] : pools_) pools.push_back(pool);
  for (const auto& [name, pool] : request_pools_) pools.push_back(pool);
  return pools;
}

void Scope::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
}

}  // namespace igor
