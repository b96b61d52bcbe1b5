#include "module/generation.h"

namespace igor {

std::shared_ptr<Scope> Generation::add_scope(std::string label) {
  scopes_.push_back(std::make_shared<Scope>(std::move(label), global_, host_));
  return scopes_.back();
}

std::vector<std::shared_ptr<Pool>> Generation::all_pools() {
  std::vector<std::shared_ptr<Pool>> pools = global_->pools();
  for (const auto& scope : scopes_) {
    for (auto& pool : scope->pools()) pools.push_back(std::move(pool));
  }
  return pools;
}

bool Generation::start(std::string& error) {
  const auto pools = all_pools();
  const TimePoint began = now();
  for (const auto& pool : pools) {
    if (!pool->start(error)) return false;
  }
  for (const auto& pool : pools) {
    Failure failure;
    const PoolOptions& options = pool->options();
    if (options.num == 0 || pool->wait_ready(after(began, options.boot_timeout), error, failure)) continue;
    if (failure.line != 0) error += " in " + failure.file + " on line " + std::to_string(failure.line);
    return false;
  }
  return true;
}

size_t Generation::close() {
  if (closed_) return 0;
  closed_ = true;
  global_->close();
  for (const auto& scope : scopes_) scope->close();
  const auto pools = all_pools();
  for (const auto& pool : pools) pool->begin_drain();
  return Pool::finish_drain(pools);
}

}  // namespace igor
