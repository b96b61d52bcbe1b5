// What a pool is configured with. Plain values, fixed for the pool's life.
//
// Two pools with the same options and the same entrypoint are the same to everybody, so a reload that brings
// the same options keeps the pool that runs (see Scope).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "module/clock.h"
#include "module/supervision.h"

namespace igor {

class Task;
struct TaskStep;

// What a pool's workers take: tasks, which the pool hands out itself; or requests, which the host does, so
// that the pool is only their life: threads, restarts, breaker.
enum class PoolKind : uint8_t { Tasks, Requests };

// Which of the waiting workers a task is offered to: the one that began to wait last (its caches are warm),
// the one that holds the fewest tasks, or the one that began to wait first.
enum class DispatchPolicy : uint8_t { Shared, LeastBusy, RoundRobin };

struct PoolOptions {
  PoolKind kind = PoolKind::Tasks;
  std::string name;
  std::string file;  // the entrypoint, absolute
  std::vector<std::pair<std::string, std::string>> env;
  std::string settings;      // for the host: what its interpreter is configured with for this pool's scripts
  bool catch_all = false;    // made for a name that somebody asked for, from options without a name
  uint32_t num = 0;          // threads started by start()
  uint32_t max_threads = 0;  // 0: max(num, 1)
  uint32_t queue = 0;        // places for accepted tasks that no worker was offered yet
  bool overflow_reject = false;
  uint32_t updates = 16;             // places in a task's update FIFO
  uint64_t max_payload = 64u << 20;  // bytes of one encoded payload
  Duration task_timeout{};           // from acceptance; 0: none
  Duration stop_grace = std::chrono::seconds(5);
  Duration boot_timeout = std::chrono::seconds(60);  // of wait_ready(), from start()
  DispatchPolicy dispatch = DispatchPolicy::Shared;
  uint64_t max_tasks = 0;   // a worker starts afresh after so many; 0: never
  uint64_t max_memory = 0;  // or when its script holds more bytes between two tasks; 0: never
  Duration max_wait{};      // for the host: how long a request may wait for a worker; 0: as the host likes
  SupervisionOptions supervision;

  // For the host: kept as long as the pool, and handed on to its successor.
  std::shared_ptr<void> host_data;

  // For tests and tools: called with each of a task's transitions ("accept", "start" and its end:
  // "complete", "fail", "cancel", "timeout") under the task's lock, so that the calls for one task come in
  // the order of what happened. Must not call back.
  std::function<void(const Task&, std::string_view event)> observer;
  // The same for what happens in between: offers, claims, updates (task_step.h).
  std::function<void(const Task&, const TaskStep&)> steps;

  // In all that makes a pool what it is: not host_data, not the observers. max_threads counts as it was meant,
  // 0 like what it stands for.
  bool same_as(const PoolOptions& other) const;
};

}  // namespace igor
