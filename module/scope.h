// A scope: the workers that one php_server can name, by name, with the global scope behind it.
//
// Lookup order: a worker of that name here, one in the fallback scope, this scope's catch-all, the
// fallback's catch-all. A catch-all makes a pool of its own for each name it is asked for, up to a bound.
// Pools of requests have names of their own kind: no lookup by name ever ends at one.
//
// Ownership: shared; a request holds its scope while it runs, so a scope outlives the generation that
// made it for as long as something may still resolve names in it (its pools then refuse tasks).
//
// Locks: a reader-writer lock for the map, never held while a pool starts, waits or drains. The fallback
// has its own; this -> fallback.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "module/pool.h"

namespace igor {

class Scope : public std::enable_shared_from_this<Scope> {
 public:
  Scope(std::string label, std::shared_ptr<Scope> fallback, WorkerHost& host)
      : label_(std::move(label)), fallback_(std::move(fallback)), host_(host) {}

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
  // No pool is made from here on.
  void close();

  static constexpr uint32_t kCatchAllNames = 16;

 private:
  Lookup make_from_catch_all(std::string_view name, std::shared_ptr<Pool>& pool);
  bool has_workers();

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };

  const std::string label_;
  const std::shared_ptr<Scope> fallback_;
  WorkerHost& host_;
  std::shared_mutex mutex_;
  using Pools = std::unordered_map<std::string, std::shared_ptr<Pool>, Hash, std::equal_to<>>;
  Pools pools_;          // of tasks
  Pools request_pools_;
  std::optional<PoolOptions> catch_all_;
  uint32_t catch_all_made_ = 0;
  bool closed_ = false;
};

}  // namespace igor
