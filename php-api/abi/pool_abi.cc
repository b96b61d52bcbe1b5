// The part of igor.h that builds and closes generations, scopes and pools.
//
// Locks: the handle tables' own. A generation is built, started and closed by one host thread at a time
// (the host's configuration lock); its scopes are looked up by requests meanwhile.
#include <algorithm>
#include <climits>
#include <condition_variable>
#include <mutex>
#include <unordered_map>

#include "module/generation.h"
#include "module/handle_table.h"
#include "module/packed_pairs.h"
#include "php-api/abi/abi.h"
#include "php-api/abi/error_text.h"
#include "php-api/abi/scopes.h"
#include "sapi/engine.h"
#include "sapi/request_queue.h"
#include "sapi/worker_script.h"

using igor::abi::view;

namespace igor::api {
namespace {

struct GenerationEntry {
  GenerationEntry(WorkerHost& host, const Generation* predecessor) : generation(host, predecessor) {}
  Generation generation;
  std::mutex mutex;                 // guards the handles and serializes building
  std::vector<igor_handle> scopes;  // stale when the generation closes
  std::vector<igor_handle> pools;   // likewise
  bool closed = false;              // no more of them
};

using Generations = HandleTable<std::shared_ptr<GenerationEntry>>;
struct ScopeEntry {
  std::shared_ptr<Scope> scope;
  std::weak_ptr<GenerationEntry> generation;
};
using Scopes = HandleTable<std::shared_ptr<ScopeEntry>>;
// Not the pool itself: a restart puts another in its place.
struct PoolEntry {
  std::shared_ptr<Scope> scope;
  PoolKind kind;
  std::string name;
};
using Pools = HandleTable<std::shared_ptr<PoolEntry>>;

// Never destroyed: threads that had to be left behind may outlive static destruction.
Generations& generations() {
  static auto* const table = new Generations;
  return *table;
}
Scopes& scopes() {
  static auto* const table = new Scopes;
  return *table;
}
Pools& pools() {
  static auto* const table = new Pools;
  return *table;
}
WorkerHost& worker_host() {
  static auto* const host = new sapi::PhpWorkerHost;
  return *host;
}

// How many generations are being closed. A closing takes as long as the workers' grace, and whoever stops the
// engine meanwhile must not find their threads in it.
class Closings {
 public:
  void begin() {
    std::lock_guard lock(mutex_);
    ++under_way_;
  }
  void end() {
    std::lock_guard lock(mutex_);
    if (--under_way_ == 0) none_.notify_all();
  }
  void await_none() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [&] { return under_way_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  size_t under_way_ = 0;
};
Closings& closings() {
  static auto* const closings = new Closings;
  return *closings;
}
// Made before the generation is taken out of the table: one that is not there any more has ended or is counted.
struct Closing {
  Closing() { closings().begin(); }
  ~Closing() { closings().end(); }
};

Duration milliseconds(uint64_t count) {
  constexpr uint64_t kMost = static_cast<uint64_t>(INT64_MAX) / 1'000'000;
  return Duration(static_cast<int64_t>(std::min(count, kMost)) * 1'000'000);
}

// The options as the core wants them; a sentence in `error` when one is out of range.
bool read_options(const igor_pool_options& from, PoolOptions& to, std::string& error) {
  to.name = view(from.name);
  to.file = view(from.file);
  if (to.name.find('\0') != std::string::npos || to.file.find('\0') != std::string::npos) {
    error = "a background worker's name or file contains a null byte";
    return false;
  }
  if (to.file.empty() || to.file.front() != '/') {
    error = "background worker \"" + to.name + "\": file must be an absolute path, got \"" + to.file + "\"";
    return false;
  }
  if (!PackedPairs::well_formed(view(from.env))) {
    error = "background worker \"" + to.name + "\": env is not a list of packed pairs";
    return false;
  }
  PackedPairs pairs(view(from.env));
  std::string_view key, value;
  while (pairs.next(key, value)) to.env.emplace_back(key, value);
  constexpr uint32_t kMostThreads = 4096;
  if (from.num > kMostThreads || from.max_threads > kMostThreads) {
    error = "background worker \"" + to.name + "\": num and max_threads must be at most 4096";
    return false;
  }
  to.num = from.num;
  to.max_threads = from.max_threads;
  to.queue = from.queue;
  to.overflow_reject = from.overflow_reject != 0;
  if (from.updates != 0) to.updates = from.updates;
  if (to.updates > 65536) {
    error = "background worker \"" + to.name + "\": updates must be at most 65536";
    return false;
  }
  if (from.kind > IGOR_POOL_REQUESTS || from.dispatch > IGOR_DISPATCH_ROUND_ROBIN) {
    error = "background worker \"" + to.name + "\": unknown kind or dispatch";
    return false;
  }
  to.kind = static_cast<PoolKind>(from.kind);
  to.dispatch = static_cast<DispatchPolicy>(from.dispatch);
  to.max_tasks = from.max_tasks;
  to.max_memory = from.max_memory;
  if (from.boot_timeout_ms != 0) to.boot_timeout = milliseconds(from.boot_timeout_ms);
  to.max_wait = milliseconds(from.max_wait_ms);
  to.settings = view(from.ini);
  if (to.settings.find('\0') != std::string::npos) {
    error = "background worker \"" + to.name + "\": its php.ini text holds a NUL byte";
    return false;
  }
  if (from.max_payload != 0) to.max_payload = from.max_payload;
  to.task_timeout = milliseconds(from.task_timeout_ms);
  to.stop_grace = milliseconds(from.stop_grace_ms);
  if (from.max_consecutive_failures != 0) to.supervision.max_consecutive_failures = from.max_consecutive_failures;
  if (from.backoff_min_ms != 0) to.supervision.backoff_min = milliseconds(from.backoff_min_ms);
  if (from.backoff_max_ms != 0) to.supervision.backoff_max = milliseconds(from.backoff_max_ms);
  if (to.supervision.backoff_min > to.supervision.backoff_max) {
    error = "background worker \"" + to.name + "\": the shortest restart delay is longer than the longest";
    return false;
  }
  return true;
}

size_t close_generation(const std::shared_ptr<GenerationEntry>& entry) {
  std::vector<igor_handle> scope_handles, pool_handles;
  {
    std::lock_guard lock(entry->mutex);
    entry->closed = true;
    scope_handles.swap(entry->scopes);
    pool_handles.swap(entry->pools);
  }
  for (const igor_handle handle : pool_handles) pools().take(handle);
  const size_t lost = entry->generation.close();
  for (const igor_handle handle : scope_handles) scopes().take(handle);
  return lost;
}

}  // namespace

std::shared_ptr<Scope> find_scope(igor_handle handle) {
  const auto entry = scopes().find(handle);
  return entry ? entry->scope : nullptr;
}

std::shared_ptr<Pool> find_pool(igor_handle handle) {
  const auto entry = pools().find(handle);
  return entry ? entry->scope->pool(entry->kind, entry->name) : nullptr;
}

igor_handle GenerationView::handle_of(const Scope& scope, const Pool& pool) const {
  const PoolOptions& options = pool.options();
  for (const Named& one : pools) {
    if (one.scope == &scope && one.kind == options.kind && one.name == options.name) return one.handle;
  }
  return 0;
}

bool find_generation(igor_handle handle, GenerationView& view) {
  const auto entry = generations().find(handle);
  if (!entry) return false;
  std::lock_guard lock(entry->mutex);
  view.scopes = entry->generation.scopes();
  for (const igor_handle pool : entry->pools) {
    if (const auto named = pools().find(pool)) {
      view.pools.push_back({pool, named->scope.get(), named->kind, named->name});
    }
  }
  if (entry->closed) return true;
  // What a catch-all has made is named when somebody looks.
  for (const auto& scope : view.scopes) {
    for (const auto& pool : scope->pools()) {
      if (view.handle_of(*scope, *pool) != 0) continue;
      const PoolOptions& options = pool->options();
      const igor_handle made =
          pools().insert(std::make_shared<PoolEntry>(PoolEntry{scope, options.kind, options.name}));
      entry->pools.push_back(made);
      view.pools.push_back({made, scope.get(), options.kind, options.name});
    }
  }
  return true;
}

std::shared_ptr<Pool> find_requests_pool(igor_handle handle) {
  auto pool = find_pool(handle);
  return pool && pool->options().kind == PoolKind::Requests ? pool : nullptr;
}

size_t close_all_generations() {
  size_t lost = 0;
  for (const auto& [handle, entry] : generations().all()) {
    if (generations().take(handle)) lost += close_generation(entry);
  }
  closings().await_none();
  return lost;
}

}  // namespace igor::api

using namespace igor;
using namespace igor::api;

igor_status igor_generation_open(igor_handle predecessor, igor_handle* generation, char* error,
                                 size_t error_size) noexcept try {
  if (generation == nullptr) return IGOR_INVALID;
  *generation = 0;
  if (!sapi::Engine::instance().running()) {
    put_error(error, error_size, "the PHP engine is not running");
    return IGOR_STATE;
  }
  // One that has closed meanwhile left nothing to take over.
  const auto before = generations().find(predecessor);
  std::unique_lock<std::mutex> lock;
  if (before) lock = std::unique_lock(before->mutex);
  *generation =
      generations().insert(std::make_shared<GenerationEntry>(worker_host(), before ? &before->generation : nullptr));
  return IGOR_OK;
} catch (const std::bad_alloc&) {
  return IGOR_NO_MEMORY;
} catch (const std::exception& problem) {
  put_error(error, error_size, problem.what());
  return IGOR_FAILED;
}

igor_status igor_scope_open(igor_handle generation, igor_str label, int is_global, igor_handle* scope, char* error,
                            size_t error_size) noexcept try {
  if (scope == nullptr) return IGOR_INVALID;
  *scope = 0;
  const auto entry = generations().find(generation);
  if (!entry) {
    put_error(error, error_size, "this configuration is closed");
    return IGOR_GONE;
  }
  std::lock_guard lock(entry->mutex);
  auto made = is_global ? entry->generation.global() : entry->generation.add_scope(std::string(view(label)));
  *scope = scopes().insert(std::make_shared<ScopeEntry>(ScopeEntry{std::move(made), entry}));
  entry->scopes.push_back(*scope);
  return IGOR_OK;
} catch (const std::bad_alloc&) {
  return IGOR_NO_MEMORY;
} catch (const std::exception& problem) {
  put_error(error, error_size, problem.what());
  return IGOR_FAILED;
}

igor_status igor_pool_add(igor_handle scope, const igor_pool_options* given, igor_handle* pool, char* error,
                          size_t error_size) noexcept try {
  if (pool != nullptr) *pool = 0;
  if (!abi::size_known(given)) {
    put_error(error, error_size, "igor_pool_options: its size is not one that this library knows");
    return IGOR_INVALID;
  }
  const igor_pool_options options = abi::completed(given);
  const auto found = scopes().find(scope);
  const auto generation = found ? found->generation.lock() : nullptr;
  if (!generation) {
    put_error(error, error_size, "this configuration is closed");
    return IGOR_GONE;
  }
  PoolOptions core;
  std::string problem;
  if (!read_options(options, core, problem)) {
    put_error(error, error_size, problem);
    return IGOR_INVALID;
  }
  // One that follows another gets the other's instead.
  if (core.kind == PoolKind::Requests) core.host_data = sapi::make_request_queue(core);
  const auto entry = std::make_shared<PoolEntry>(PoolEntry{found->scope, core.kind, core.name});
  std::lock_guard lock(generation->mutex);
  if (!found->scope->add(std::move(core), problem)) {
    put_error(error, error_size, problem);
    return IGOR_INVALID;
  }
  if (pool == nullptr || entry->name.empty()) return IGOR_OK;  // a catch-all is no pool itself
  *pool = pools().insert(entry);
  generation->pools.push_back(*pool);
  return IGOR_OK;
} catch (const std::bad_alloc&) {
  return IGOR_NO_MEMORY;
} catch (const std::exception& problem) {
  put_error(error, error_size, problem.what());
  return IGOR_FAILED;
}

igor_status igor_generation_start(igor_handle generation, char* error, size_t error_size) noexcept try {
  const auto entry = generations().find(generation);
  if (!entry) {
    put_error(error, error_size, "this configuration is closed");
    return IGOR_GONE;
  }
  std::string problem;
  if (entry->generation.start(problem)) return IGOR_OK;
  put_error(error, error_size, problem);
  return IGOR_FAILED;
} catch (const std::bad_alloc&) {
  return IGOR_NO_MEMORY;
} catch (const std::exception& problem) {
  put_error(error, error_size, problem.what());
  return IGOR_FAILED;
}

igor_status igor_generation_hand_over(igor_handle generation) noexcept {
  const auto entry = generations().find(generation);
  if (!entry) return IGOR_GONE;
  entry->generation.hand_over();
  return IGOR_OK;
}

igor_status igor_generation_close(igor_handle generation) noexcept try {
  const Closing closing;
  const auto entry = generations().take(generation);
  if (!entry) return IGOR_GONE;
  return close_generation(entry) == 0 ? IGOR_OK : IGOR_TIMEOUT;
} catch (...) {
  return IGOR_FAILED;
}
