// The part of igor.h by which a running server is looked at and steered.
#include <cstdlib>
#include <cstring>

#include "php-api/abi/abi.h"
#include "php-api/abi/report.h"
#include "php-api/abi/scopes.h"

using namespace igor;
using igor::abi::fail;
using igor::abi::guarded;

namespace {
constexpr const char* kPoolGone = "there is no such pool: its configuration is closed";
}

igor_status igor_pool_control(igor_handle pool, int action, char* error, size_t error_size) noexcept {
  return guarded(error, error_size, [&] {
    const auto found = api::find_pool(pool);
    if (!found) return fail(IGOR_GONE, kPoolGone, error, error_size);
    std::string problem;
    bool done = false;
    switch (action) {
      case IGOR_POOL_PAUSE:
        done = found->pause(problem);
        break;
      case IGOR_POOL_RESUME:
        done = found->resume(problem);
        break;
      case IGOR_POOL_RESTART:
        done = found->restart(problem);
        break;
      case IGOR_POOL_DRAIN:
        done = found->drain(problem);
        break;
      default:
        return fail(IGOR_INVALID, "unknown action for a pool", error, error_size);
    }
    return done ? IGOR_OK : fail(IGOR_FAILED, problem, error, error_size);
  });
}

igor_status igor_worker_restart(igor_handle pool, uint32_t worker, char* error, size_t error_size) noexcept {
  return guarded(error, error_size, [&] {
    const auto found = api::find_pool(pool);
    if (!found) return fail(IGOR_GONE, kPoolGone, error, error_size);
    if (found->restart_worker(worker)) return IGOR_OK;
    return fail(IGOR_GONE, "the pool has no worker " + std::to_string(worker), error, error_size);
  });
}

igor_status igor_task_cancel(igor_handle generation, uint64_t task) noexcept {
  return guarded(nullptr, 0, [&] {
    api::GenerationView view;
    if (!api::find_generation(generation, view)) return IGOR_GONE;
    for (const auto& scope : view.scopes) {
      for (const auto& pool : scope->pools()) {
        if (const Ref<Task> found = pool->find_task(task)) {
          return found->cancel("cancelled by an operator") ? IGOR_OK : IGOR_GONE;
        }
      }
    }
    return IGOR_GONE;
  });
}

igor_status igor_report(igor_handle generation, char** json, size_t* size) noexcept {
  if (json == nullptr || size == nullptr) return IGOR_INVALID;
  *json = nullptr;
  *size = 0;
  return guarded(nullptr, 0, [&] {
    api::GenerationView view;
    if (!api::find_generation(generation, view)) return IGOR_GONE;
    const std::string document = api::report_of(view);
    *json = static_cast<char*>(std::malloc(document.size() + 1));
    if (*json == nullptr) return IGOR_NO_MEMORY;
    std::memcpy(*json, document.c_str(), document.size() + 1);
    *size = document.size();
    return IGOR_OK;
  });
}

void igor_free(void* memory) noexcept {
  std::free(memory);
}
