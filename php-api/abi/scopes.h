// The scopes and pools of all open generations, by handle: how a request finds where its worker names resolve,
// and the HTTP workers that answer it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caddy-plugin/bridge/igor.h"
#include "module/scope.h"

namespace igor::api {

// Null when the handle is stale or 0. Any thread.
std::shared_ptr<Scope> find_scope(igor_handle handle);

// The pool that igor_pool_add() named so, as it is today (it may have been restarted). Null when the handle is
// stale or 0. Any thread.
std::shared_ptr<Pool> find_pool(igor_handle handle);
// The same; null for a pool of tasks, too.
std::shared_ptr<Pool> find_requests_pool(igor_handle handle);

// What belongs to an open generation.
struct GenerationView {
  std::vector<std::shared_ptr<Scope>> scopes;  // the global one first
  struct Named {
    igor_handle handle;
    const Scope* scope;
    PoolKind kind;
    std::string name;
  };
  std::vector<Named> pools;  // by igor_pool_add(), or for the one who looks

  // 0: it was made after the view.
  igor_handle handle_of(const Scope& scope, const Pool& pool) const;
};
// False when the handle is stale. Any thread.
bool find_generation(igor_handle handle, GenerationView& view);

// Closes every generation that is still open, and waits for those that others are closing; for the engine's stop.
// Returns how many threads of the former had to be left behind. Blocks, see igor_generation_close().
size_t close_all_generations();

}  // namespace igor::api
