// A scope: the workers that one php_server can name, by name, with the global scope behind it.
//
// Lookup order: a worker of that name here, one that is listed in the fallback scope, this scope's catch-all, the
// fallback's catch-all (with what it has made). A catch-all makes a pool of its own for each name it is asked for, up
// to a bound. Pools of requests have names of their own kind: no lookup by name ever ends at one.
//
// Reload: a scope may have a predecessor, the one of the configuration before. A pool that is added here and was
// there too with the same options and the same entrypoint is kept, as it is, for both; otherwise the new pool
// becomes the successor of the old one, as it does when that is restarted. A catch-all's pools are taken over
// name by name: at the start, when somebody asks, and at the latest when the old configuration hands over or
// closes. From then on a scope looks names up in its successor first, so a script that goes on for years, in a request
// or in a worker that was kept, sends to today's workers.
//
// Ownership: shared, forwards: a scope holds its successor. A request holds its scope while it runs, so a scope
// outlives the generation that made it for as long as something may still resolve names in it (its pools then refuse
// tasks).
//
// Locks: a reader-writer lock for the maps, never held while a pool starts, waits or drains. The fallback and
// the predecessor have their own; this -> fallback, this -> predecessor, each -> a pool's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "module/pool.h"
#include "module/sync.h"

namespace igor {

class Scope : public std::enable_shared_from_this<Scope> {
 public:
  Scope(std::string label, std::shared_ptr<Scope> fallback, WorkerHost& host, std::weak_ptr<Scope> predecessor = {})
      : label_(std::move(label)), fallback_(std::move(fallback)), host_(host), predecessor_(std::move(predecessor)) {}

  const std::string& label() const noexcept { return label_; }

  // False with a sentence when a pool of that kind and name is there (an empty name: the catch-all, at most
  // one, and of tasks).
  bool add(PoolOptions options, std::string& error);

  enum class Lookup { Found, NoSuchWorker, NoWorkers, CatchAllFull, Closed };
  Lookup find(std::string_view name, std::shared_ptr<Pool>& pool);

  // Today's pool of that kind and name in this scope alone, or null.
  std::shared_ptr<Pool> pool(PoolKind kind, std::string_view name);
  // Every pool made so far, of both kinds, catch-all ones included; not those of the fallback.
  std::vector<std::shared_ptr<Pool>> pools();

  // The pools whose home this is to be.
  using Start = std::vector<std::shared_ptr<Pool>>;
  Start prepare_start();
  // The configuration runs: this is the home of all its pools now, and the predecessor's successor.
  void started(Start start) noexcept;
  // What stands here in the place of a pool of the predecessor: perhaps itself. Null: nothing.
  std::shared_ptr<Pool> successor_of(const std::shared_ptr<Pool>& pool);
  // The newest that started after this one; null when none did, or it is closed.
  std::shared_ptr<Scope> successor();
  // From here on names are looked up in the successor first.
  void hand_over() noexcept { handed_over_.store(true, std::memory_order_release); }
  // No pool is made from here on.
  void close() noexcept;
  // After close(): calls visit(pool, attached) for every pool that it holds, without a lock.
  template <typename Visit>
  void for_each_held(Visit&& visit);

  // A pool that is held without being in the map: one that is about to take another's place, and, after
  // replace(), the one whose place was taken, until it has ended. False when closed.
  bool attach(const std::shared_ptr<Pool>& pool);
  void detach(const std::shared_ptr<Pool>& pool) noexcept;
  // Of one that is attached: allocates nothing. False when `old` is not (or no longer) in the map, or the scope is
  // closed.
  bool replace(const std::shared_ptr<Pool>& old, const std::shared_ptr<Pool>& next) noexcept;

  static constexpr uint32_t kCatchAllNames = 16;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  using Pools = std::unordered_map<std::string, std::shared_ptr<Pool>, Hash, std::equal_to<>>;

  Lookup make_from_catch_all(std::string_view name, std::shared_ptr<Pool>& pool);
  std::shared_ptr<Pool> make_named(std::string_view name);
  std::shared_ptr<Pool> obtain(PoolOptions options);
  std::shared_ptr<Pool> put(Pools& pools, PoolOptions options);
  size_t attached_count() noexcept;
  std::shared_ptr<Pool> attached(size_t index) noexcept;
  bool has_workers();
  bool has_catch_all();
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  Lookup find_here(std::string_view name, std::shared_ptr<Pool>& pool);

  const std::string label_;
  const std::shared_ptr<Scope> fallback_;
  WorkerHost& host_;
  const std::weak_ptr<Scope> predecessor_;
  SharedMutex mutex_;
  Pools pools_;  // of tasks
  Pools request_pools_;
  std::vector<std::shared_ptr<Pool>> attached_;
  std::shared_ptr<Scope> successor_;
  std::optional<PoolOptions> catch_all_;
  uint32_t catch_all_made_ = 0;
  Atomic<bool> closed_{false};       // set under the lock
  Atomic<bool> handed_over_{false};  // names are looked up in the successor first
};

template <typename Visit>
void Scope::for_each_held(Visit&& visit) {
  // Once it is closed nobody changes the maps any more.
  for (const auto& [name, pool] : pools_) visit(pool, false);
  for (const auto& [name, pool] : request_pools_) visit(pool, false);
  // Those that are attached may still be detached: from the end, so that none is missed when the others move up.
  for (size_t left = attached_count(); left > 0; --left) {
    if (const auto pool = attached(left - 1)) visit(pool, true);
  }
}

}  // namespace igor
