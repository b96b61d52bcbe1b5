#include "module/pool_options.h"

#include <algorithm>
#include <tuple>

namespace igor {
namespace {

auto values_of(const PoolOptions& options) {
  const SupervisionOptions& supervision = options.supervision;
  return std::make_tuple(
      std::tie(options.kind, options.name, options.file, options.env, options.settings, options.catch_all, options.num,
               options.queue, options.overflow_reject, options.updates, options.max_payload, options.task_timeout),
      std::tie(options.stop_grace, options.boot_timeout, options.dispatch, options.max_tasks, options.max_memory,
               options.max_wait),
      std::tie(supervision.backoff_min, supervision.backoff_max, supervision.max_consecutive_failures),
      // Of a catch-all's own options it bounds names, and there 0 is a value like any other.
      options.name.empty() ? options.max_threads : std::max({options.max_threads, options.num, 1u}));
}

}  // namespace

bool PoolOptions::same_as(const PoolOptions& other) const {
  return values_of(*this) == values_of(other);
}

}  // namespace igor
