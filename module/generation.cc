#include "module/generation.h"

#include <algorithm>
#include <new>
#include <utility>

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
  // First all that may fail, then all that changes something for others.
  std::vector<std::pair<std::shared_ptr<Scope>, Scope::Start>> starting;
  for (auto& scope : scopes()) {
    Scope::Start pools = scope->prepare_start();
    starting.emplace_back(std::move(scope), std::move(pools));
  }
  for (auto& [scope, pools] : starting) scope->started(std::move(pools));
  return true;
}

namespace {

// Before the pool is let go: the next scope may come to hold it only now.
std::shared_ptr<Pool> successor_in(Scope* next, const std::shared_ptr<Pool>& pool) noexcept {
  try {
    return next != nullptr ? next->successor_of(pool) : nullptr;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

// Without memory they hand over when they drain.
void Generation::hand_over() noexcept try {
  for_each_scope([](const auto& scope) {
    const auto next = scope->successor();
    if (!next) return;
    scope->hand_over();
    for (const auto& pool : scope->pools()) {
      // HTTP workers have requests, which belong to the configuration that they came to.
      if (pool->options().kind == PoolKind::Requests) continue;
      // One that both have, though it may not stand there yet: a restart puts it into one scope after the other.
      const auto holders = pool->holders();
      if (std::find(holders.begin(), holders.end(), next) != holders.end()) continue;
      const auto successor = next->successor_of(pool);
      if (successor != pool) pool->hand_over(successor);
    }
  });
} catch (const std::bad_alloc&) {
}

size_t Generation::close() noexcept {
  if (closed_) return 0;
  closed_ = true;
  for_each_scope([](const auto& scope) { scope->close(); });
  for_each_scope([](const auto& scope) {
    const auto next = scope->successor();
    scope->for_each_held([&](const std::shared_ptr<Pool>& pool, bool attached) {
      const auto successor = attached ? nullptr : successor_in(next.get(), pool);
      if (!pool->let_go(*scope)) return;
      pool->begin_drain(successor);
      // A generation that has come to follow meanwhile found this one still in charge.
      if (successor || attached) return;
      if (const auto late = successor_in(scope->successor().get(), pool)) late->take_charge_if_vacant();
    });
  });
  return Pool::finish_drain_all([&](auto&& end) {
    for_each_scope([&](const auto& scope) {
      scope->for_each_held([&](const std::shared_ptr<Pool>& pool, bool) {
        if (pool->draining()) end(pool);
      });
    });
  });
}

}  // namespace igor
