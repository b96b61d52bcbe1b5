#include "module/generation.h"

#include <algorithm>

namespace igor {

Generation::Generation(WorkerHost& host, const Generation* predecessor)
    : host_(host),
      global_(std::make_shared<Scope>(
          "global", nullptr, host, predecessor ? std::weak_ptr<Scope>(predecessor->global_) : std::weak_ptr<Scope>())) {
  if (predecessor) before_.assign(predecessor->scopes_.begin(), predecessor->scopes_.end());
}

std::shared_ptr<Scope> Generation::add_scope(std::string label) {
  // Labels need not differ: the first of a label follows the first, the second the second.
  const auto before = std::find_if(before_.begin(), before_.end(), [&](const std::weak_ptr<Scope>& one) {
    const auto scope = one.lock();
    return scope && scope->label() == label;
  });
  std::weak_ptr<Scope> predecessor;
  if (before != before_.end()) {
    predecessor = *before;
    before_.erase(before);
  }
  scopes_.push_back(std::make_shared<Scope>(std::move(label), global_, host_, std::move(predecessor)));
  return scopes_.back();
}

std::vector<std::shared_ptr<Scope>> Generation::scopes() const {
  std::vector<std::shared_ptr<Scope>> scopes{global_};
  scopes.insert(scopes.end(), scopes_.begin(), scopes_.end());
  return scopes;
}

bool Generation::start(std::string& error) {
  const TimePoint began = now();
  std::vector<std::shared_ptr<Pool>> made;
  for (const auto& scope : scopes()) {
    for (auto& pool : scope->pools()) {
      if (!pool->start(error)) return false;
      // One that was taken over is as it is: a worker that fails must not forbid an unrelated change.
      if (pool->options().num > 0 && pool->home() == scope) made.push_back(std::move(pool));
    }
  }
  for (const auto& pool : made) {
    Failure failure;
    if (pool->wait_ready(after(began, pool->options().boot_timeout), error, failure)) continue;
    if (failure.line != 0) error += " in " + failure.file + " on line " + std::to_string(failure.line);
    return false;
  }
  for (const auto& scope : scopes()) scope->started();
  return true;
}

size_t Generation::close() {
  if (closed_) return 0;
  closed_ = true;
  const auto all = scopes();
  for (const auto& scope : all) scope->close();
  std::vector<std::shared_ptr<Pool>> ending;
  for (const auto& scope : all) {
    const auto next = scope->successor();
    for (const auto& pool : scope->pools()) {
      // Before letting go: the next scope may come to hold it only now.
      const auto successor = next ? next->successor_of(pool) : nullptr;
      if (pool->let_go(*scope)) pool->begin_drain(successor);
      if (pool->draining()) ending.push_back(pool);
    }
    for (const auto& pool : scope->attached()) {
      if (pool->let_go(*scope)) pool->begin_drain();
      if (pool->draining()) ending.push_back(pool);
    }
  }
  return Pool::finish_drain(ending);
}

}  // namespace igor
