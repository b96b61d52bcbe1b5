// What a pool is at one moment, for people and their tools: plain values, copied under the pool's lock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "module/clock.h"
#include "module/counters.h"
#include "module/failure.h"
#include "module/origin.h"
#include "module/ref.h"

namespace igor {

struct WorkerReport {
  // Idle: ready, and holds nothing.
  enum class State : uint8_t { Starting, Idle, Busy, Restarting, Stopping, Lost };

  uint32_t index = 0;
  State state = State::Starting;
  TimePoint since{};
  uint32_t tasks = 0;    // that it holds
  uint64_t handled = 0;  // tasks claimed and requests served, in all its runs
  uint64_t starts = 0;   // runs
  uint64_t memory = 0;   // bytes, as its host last said
  std::string activity;  // what it does, as its host says; empty when nothing
  bool old = false;      // of a pool whose place was taken: another worker may have its index
};

struct TaskReport {
  uint64_t id = 0;
  bool running = false;
  TimePoint created{};
  size_t payload_bytes = 0;
  Ref<const Origin> origin;  // may be null
  uint32_t worker = 0;       // when it runs
  bool old = false;          // of a pool whose place was taken
};

struct PoolReport {
  enum class State : uint8_t { Running, Paused, Draining, Drained, Stopping };
  enum class Breaker : uint8_t { Closed, Open, HalfOpen };
  static constexpr size_t kMostTasks = 1000;

  TimePoint at{};  // ages count from here
  State state = State::Running;
  Breaker breaker = Breaker::Closed;
  int consecutive_failures = 0;
  bool ever_ready = false;
  size_t queued = 0;
  size_t blocked_senders = 0;
  std::vector<WorkerReport> workers;  // not those that have ended
  std::vector<TaskReport> tasks;      // oldest of the queue first, then those that run; at most kMostTasks
  size_t tasks_omitted = 0;

  // What is left of a pool that this one follows: its workers and tasks, marked as old.
  void append_old(PoolReport&& before) {
    for (WorkerReport& worker : before.workers) {
      worker.old = true;
      // Perhaps not told so yet: requests of the configuration before may still send to it.
      if (worker.state != WorkerReport::State::Lost) worker.state = WorkerReport::State::Stopping;
      workers.push_back(std::move(worker));
    }
    tasks_omitted += before.tasks_omitted;
    for (TaskReport& task : before.tasks) {
      if (tasks.size() == kMostTasks) {
        ++tasks_omitted;
        continue;
      }
      task.old = true;
      tasks.push_back(std::move(task));
    }
  }

  struct Snapshot {
    uint64_t version = 0;
    TimePoint published{};
    size_t bytes = 0;
  };
  std::optional<Snapshot> snapshot;
  std::optional<Failure> last_failure;
  TimePoint last_failure_at{};
};

}  // namespace igor
