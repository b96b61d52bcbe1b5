// A pool: the workers of one name, the tasks on their way to them, and the rules by which they live.
//
// Threads start when start() is called (`num` of them) or with the first send (one, growing to
// `max_threads` while senders find none waiting). Each runs its slot's loop: run the script, see how it
// ended (Supervision), wait, run it again. Draining is one-way: begin_drain() refuses every task that is
// not running and tells the scripts to stop; finish_drain() gives them `stop_grace`, then interrupts
// them, then leaves behind those that still do not end.
//
// Ownership: shared. Tasks hold their pool; a worker's thread holds it, so a thread that had to be left
// behind never touches freed memory. The WorkerHost must outlive everything.
//
// Locks: mutex_, one per pool: dispatch, slots' states, lifecycle. Under it task locks and leaves (wake-up,
// timers) may be taken, and nothing that can block. No script runs and no host is called under it.
//
// Who wakes whom: send() wakes one waiting slot; a slot that takes or asks wakes the sender that gets the
// free place; a script's end wakes senders whom nobody can serve; begin_drain() wakes all.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "module/clock.h"
#include "module/counters.h"
#include "module/dispatch.h"
#include "module/failure.h"
#include "module/snapshot.h"
#include "module/supervision.h"
#include "module/task.h"
#include "module/worker_host.h"
#include "module/worker_slot.h"

namespace igor {

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
  std::string settings;  // for the host: what its interpreter is configured with for this pool's scripts
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
};

class Scope;

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // `home` is the scope that the pool belongs to, where its own scripts resolve names; may be empty.
  static std::shared_ptr<Pool> create(PoolOptions options, WorkerHost& host, std::weak_ptr<Scope> home = {});
  ~Pool();

  const PoolOptions& options() const noexcept { return options_; }
  // Null when it has none, or it is gone.
  std::shared_ptr<Scope> home() const noexcept { return home_.lock(); }
  Counters& counters() noexcept { return counters_; }
  bool draining() const noexcept { return draining_.load(std::memory_order_acquire); }

  // --- life --------------------------------------------------------------------------------------

  // Starts `num` threads. False with a sentence when the system refuses a thread.
  bool start(std::string& error);
  // Until `num` workers have been ready once. False with a sentence (and the failure of the last run) when the
  // breaker opened, the pool drains, or the deadline came first.
  bool wait_ready(TimePoint deadline, std::string& error, Failure& failure);
  // Starts the first thread of a lazy pool if none runs.
  bool ensure_started(std::string& error);
  // One more thread, if max_threads and the breaker allow it. False with a sentence when the system refuses.
  bool grow(std::string& error);
  // Threads that have not ended.
  uint32_t size() const;

  void begin_drain();
  // After begin_drain(). Blocks for at most stop_grace and kForceTime; returns how many threads were left
  // behind. Not on a thread of the pool. Several pools end side by side: the longest grace counts, once.
  size_t finish_drain();
  static size_t finish_drain(const std::vector<std::shared_ptr<Pool>>& pools);
  static constexpr Duration kForceTime = std::chrono::seconds(1);
  // So many threads that could not be stopped are replaced by others; more would eat the machine.
  static constexpr int kMostLost = 16;

  // --- tasks -------------------------------------------------------------------------------------

  enum class SendResult : uint8_t {
    Accepted,
    TimedOut,
    Overflow,      // full, and the pool refuses instead of blocking
    WorkerFailed,  // a script ended before it was ever ready, and no sibling lives
    BreakerOpen,   // too many consecutive failures; tried again later
    ShuttingDown,
    Interrupted,
    NoThread,  // the system refuses to start one
  };
  struct Sent {
    SendResult result = SendResult::Accepted;
    Ref<Task> task;      // when accepted
    Failure failure;     // of the last run: WorkerFailed, BreakerOpen
    int failures = 0;    // consecutive ones: BreakerOpen
    std::string detail;  // NoThread
  };
  // Blocks until the task is accepted, or refused for one of the reasons above. A `task_timeout` other than
  // zero replaces the pool's.
  Sent send(Payload payload, TimePoint deadline, Interrupt* interrupt, Duration task_timeout = {});

  // --- snapshots -----------------------------------------------------------------------------------

  struct Look {
    SendResult result = SendResult::Accepted;  // Accepted: there is a snapshot
    Ref<const Snapshot> snapshot;
    Failure failure;     // WorkerFailed, BreakerOpen
    int failures = 0;    // BreakerOpen
    std::string detail;  // NoThread
  };
  // The latest snapshot. Before the first was published: starts a lazy pool and waits for it.
  Look look(TimePoint deadline, Interrupt* interrupt);
  // Replaces the latest snapshot; on the slot's thread, for which it counts as being ready.
  void publish(WorkerSlot& slot, Payload payload);
  const SnapshotStore& snapshots() const noexcept { return snapshots_; }

  // --- state, for display ---------------------------------------------------------------------------

  struct Stats {
    uint32_t threads = 0, starting = 0, ready = 0, waiting = 0, restarting = 0, lost = 0;
    size_t queued = 0, blocked_senders = 0, running = 0;
    int consecutive_failures = 0;
    bool breaker_open = false;
  };
  Stats stats();

  // Used by Task and Dispatch. The counting ones are called under the task's lock (accepted: take it).
  void withdraw(Task& task);
  void count_accepted(Task& task);
  void count_start(Task& task);
  void count_end(Task& task, TaskState state);

 private:
  friend class WorkerSlot;
  using Lock = Dispatch::Lock;

  Pool(PoolOptions options, WorkerHost& host, std::weak_ptr<Scope> home);

  bool spawn(const Lock&, std::string& error);
  uint32_t living(const Lock&) const noexcept;
  void stop_slot(Lock&, WorkerSlot& slot, WorkerSlot::Stop why);
  void press_slot(WorkerSlot& slot, uint64_t run, TimePoint give_up_at);
  void give_up(Lock&, WorkerSlot& slot);
  void run_slot(WorkerSlot& slot);
  RunOutcome run_once(WorkerSlot& slot, bool& entered);
  bool await_restart(Lock&, WorkerSlot& slot, TimePoint earliest);
  void wake_restarting(const Lock&);
  void task_completed(const Lock&);
  bool all_ended(const Lock&) const noexcept;
  bool press_to_end(TimePoint& next);
  void await_end(TimePoint deadline);
  size_t collect_threads();
  void log_run(WorkerSlot& slot, const RunOutcome& outcome, bool was_ready, Duration delay, bool breaker_open);
  void became_ready(const Lock&, WorkerSlot& slot);
  void refuse_waiting(const Lock&, SendResult why);
  void arm_reoffer(const Lock&);
  bool somebody_may_serve(const Lock&) const noexcept;
  void list_running(const Lock&, WorkerSlot& slot, Task& task);
  bool unlist_running(const Lock&, WorkerSlot& slot, Task& task);

  const PoolOptions options_;
  WorkerHost& host_;
  const std::weak_ptr<Scope> home_;
  Counters counters_;
  std::atomic<bool> draining_{false};

  SnapshotStore snapshots_;  // written under mutex_
  Wakeup published_;         // the first snapshot, or why there will be none

  mutable std::mutex mutex_;
  std::condition_variable life_;  // a slot became ready or stopped, or the breaker opened
  Dispatch dispatch_;
  Supervision supervision_;
  std::vector<std::unique_ptr<WorkerSlot>> slots_;
  bool ever_ready_ = false;
  Failure last_failure_;
  uint64_t refusals_ = 0;  // how often those who waited were told that nobody will serve them
  SendResult last_refusal_ = SendResult::Accepted;
  bool reoffer_armed_ = false;
  TimePoint drain_began_{};
  TimePoint give_up_at_{};  // set when the first script is interrupted
};

}  // namespace igor
