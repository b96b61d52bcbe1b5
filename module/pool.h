// A pool: the workers of one name, the tasks on their way to them, and the rules by which they live.
//
// Threads start when start() is called (`num` of them) or with the first send (one, growing to
// `max_threads` while senders find none waiting). Each runs its slot's loop: run the script, see how it
// ended (Supervision), wait, run it again. Draining is one-way: begin_drain() refuses every task that is
// not running and tells the scripts to stop; finish_drain() gives them `stop_grace`, then interrupts
// them, then leaves behind those that still do not end.
//
// Succession: a pool may be made with a predecessor, whose counters, snapshot and host_data it shares from
// then on. When the predecessor hands over to it, at the latest when it drains in its favour, every task that no
// worker had claimed moves to the successor, accepted ones with their deadlines, waiting senders with their places in
// line; who still comes to the old pool is passed on. Only the pool in charge, the newest that took over, publishes
// snapshots: what a successor publishes before that is kept back, what the old one publishes afterwards is dropped.
// Tasks that run stay where they are, and those workers are told to stop by the drain alone.
//
// Holders: the scopes in whose maps the pool is; a reload may keep a pool in the old configuration's scope and
// in the new one's. When the last lets go the pool is to drain.
//
// A successor's report lists the workers and tasks of those that it follows as well, until they have ended.
//
// Ownership: shared. Tasks hold their pool; a pool holds its successor, and knows its predecessors only weakly: they
// live as long as their threads and tasks do. A worker's thread holds its pool, so a
// thread that had to be left behind never touches freed memory. The WorkerHost must outlive everything.
//
// Locks: mutex_, one per pool: dispatch, slots' states, lifecycle. Under it task locks and leaves (wake-up,
// timers, snapshots) may be taken, and nothing that can block. No script runs and no host is called under it,
// and never two pools' locks are held at once. home_mutex_ is a leaf. joining_ is taken under nothing.
//
// Out of memory: send(), look(), publish(), and what an operator asks for throw std::bad_alloc and have changed
// nothing, but that send() may have to cancel the task that it had begun. What must happen, does: draining, ends,
// hand-overs, supervision.
//
// Who wakes whom: send() wakes one waiting slot; a slot that takes or asks wakes the sender that gets the
// free place; a script's end wakes senders whom nobody can serve; begin_drain() wakes all, hand_over() those who look
// for a first snapshot. A sender whose task moved needs no waking for that: it looks at where its task is each time it
// wakes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "module/clock.h"
#include "module/counters.h"
#include "module/dispatch.h"
#include "module/failure.h"
#include "module/file_stamp.h"
#include "module/pool_options.h"
#include "module/pool_report.h"
#include "module/snapshot.h"
#include "module/supervision.h"
#include "module/sync.h"
#include "module/task.h"
#include "module/task_list.h"
#include "module/task_step.h"
#include "module/worker_host.h"
#include "module/worker_slot.h"

namespace igor {

class Scope;
struct LogRecord;

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // `home` is the scope that the pool belongs to, where its own scripts resolve names; may be empty.
  static std::shared_ptr<Pool> create(PoolOptions options, WorkerHost& host, std::weak_ptr<Scope> home = {},
                                      const std::shared_ptr<Pool>& predecessor = nullptr);
  ~Pool();

  const PoolOptions& options() const noexcept { return options_; }
  // Of the entrypoint, when the pool was made.
  const FileStamp& stamp() const noexcept { return stamp_; }
  // Null when it has none, or it is gone. The host's threads ask; a reload that keeps the pool moves it.
  std::shared_ptr<Scope> home() const;
  void move_home(std::weak_ptr<Scope> home);
  Counters& counters() noexcept { return *counters_; }
  const Counters& counters() const noexcept { return *counters_; }
  bool draining() const noexcept { return draining_.load(std::memory_order_acquire); }
  // Whether another has taken over.
  bool relieved() const noexcept { return relieved_.load(std::memory_order_acquire); }
  // Null unless it is.
  std::shared_ptr<Pool> successor() const { return relieved() ? successor_ : nullptr; }

  // --- life --------------------------------------------------------------------------------------

  // Starts `num` threads, or `count`. False with a sentence when the system refuses a thread.
  bool start(std::string& error) { return start(options_.num, error); }
  bool start(uint32_t count, std::string& error);
  // Until `num` workers (or `count`) have been ready once. False with a sentence (and the failure of the last
  // run) when the breaker opened, the pool drains, or the deadline came first.
  bool wait_ready(TimePoint deadline, std::string& error, Failure& failure) {
    return wait_ready(options_.num, deadline, error, failure);
  }
  bool wait_ready(uint32_t count, TimePoint deadline, std::string& error, Failure& failure);
  // Starts the first thread of a lazy pool if none runs.
  bool ensure_started(std::string& error);
  // One more thread, if max_threads and the breaker allow it. False with a sentence when the system refuses.
  bool grow(std::string& error);
  // Threads that have not ended.
  uint32_t size() const;

  // The successor takes over: unclaimed tasks, those that are sent from now on, snapshots. Tasks that run stay, their
  // workers go on. The first call counts, or the drain if that came before.
  void hand_over(std::shared_ptr<Pool> successor) noexcept;
  // When all that went before it have drained, or will, in nobody's favour: then nobody else publishes.
  void take_charge_if_vacant() noexcept;
  // With a successor: in its favour, unless another has taken over already. The first call counts.
  void begin_drain(std::shared_ptr<Pool> successor = nullptr) noexcept;
  // After begin_drain(). Blocks for at most stop_grace and kForceTime; returns how many threads were left
  // behind. Not on a thread of the pool. Several pools end side by side: the longest grace counts, once.
  size_t finish_drain() noexcept;
  static size_t finish_drain(const std::vector<std::shared_ptr<Pool>>& pools) noexcept;
  // `each` calls its argument with every one of them, each time that it is called.
  template <typename Each>
  static size_t finish_drain_all(const Each& each) noexcept;
  // The same without waiting, by the timers. Whoever may end the host calls finish_drain() all the same.
  void finish_drain_later() noexcept;
  // Drained, and all threads are joined or were left behind.
  bool finished() const;
  static constexpr Duration kForceTime = std::chrono::seconds(1);
  static constexpr Duration kPressEvery = std::chrono::milliseconds(20);
  static constexpr int kPresses = kForceTime / kPressEvery;
  // So many threads that could not be stopped are replaced by others; more would eat the machine.
  static constexpr int kMostLost = 16;

  // --- holders -------------------------------------------------------------------------------------

  // False when the pool drains, or is about to: the last holder has let go, or another takes its place.
  bool hold(const std::shared_ptr<Scope>& scope);
  // True when it was the last: the caller drains the pool.
  bool let_go(const Scope& scope);
  std::vector<std::shared_ptr<Scope>> holders() const;

  // --- operation -----------------------------------------------------------------------------------

  // False with a sentence when it can't be done to this pool.
  bool pause(std::string& error) noexcept;
  bool resume(std::string& error) noexcept;
  // A pause, and the workers end, until resume().
  bool drain(std::string& error) noexcept;
  // Puts a successor of the same options in this pool's place, in every scope that holds it, and drains this
  // one in its favour. Waits until as many of the new workers are ready as this one has now. False with a
  // sentence when they are not: this one then goes on. Not on a thread of the pool.
  bool restart(std::string& error);
  // Tells one worker to stop and starts it again. False when there is none of that index.
  bool restart_worker(uint32_t index) noexcept;
  // A task of this pool, or of one that it follows, accepted and not ended; or null.
  Ref<Task> find_task(uint64_t id);
  // With what is left of those that it follows.
  PoolReport report();

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
  // Tells the worker that would get a task now that one comes in about `soon`, see Wakeup::announce().
  void announce(Duration soon) noexcept;
  // Blocks until the task is accepted, or refused for one of the reasons above. A `task_timeout` other than
  // zero replaces the pool's.
  Sent send(Payload payload, TimePoint deadline, Interrupt* interrupt, Duration task_timeout = {},
            Ref<const Origin> origin = nullptr);

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
  const SnapshotStore& snapshots() const noexcept { return *snapshots_; }
  // Shared with the pools before and after this one.
  std::shared_ptr<const SnapshotStore> snapshot_store() const noexcept { return snapshots_; }

  // --- state, for display ---------------------------------------------------------------------------

  struct Stats {
    uint32_t threads = 0, starting = 0, ready = 0, waiting = 0, restarting = 0, lost = 0;
    size_t queued = 0, blocked_senders = 0, running = 0;
    int consecutive_failures = 0;
    bool breaker_open = false;
  };
  Stats stats();

  // How long a script may go on with a task whose time has run out before it is taken for stuck.
  static constexpr Duration kOverdueGrace = std::chrono::milliseconds(200);

  // Used by Task and Dispatch. The counting ones are called under the task's lock (accepted: take it).
  static void withdraw(Task& task);
  // The task has timed out in this slot: looks after kOverdueGrace, and again, whether the script has let go of it,
  // and interrupts a script that has not and that shows no sign of life either: it has asked for nothing since, nor
  // does it wait for something to do. Without any lock.
  void overdue(WorkerSlot& slot, const Task& task);
  void count_accepted(Task& task);
  void count_start(Task& task);
  void count_end(Task& task, TaskState state);
  // Tells the observer, if any. Under the task's lock.
  void step(const Task& task, const TaskStep& step) const {
    if (options_.steps) options_.steps(task, step);
  }

 private:
  friend class WorkerSlot;
  using Lock = Dispatch::Lock;
  // By an operator: nothing is handed out; moreover no thread runs.
  enum class Hold : uint8_t { None, Paused, Drained };

  Pool(PoolOptions options, WorkerHost& host, std::weak_ptr<Scope> home, const std::shared_ptr<Pool>& predecessor);

  const std::string& title() const noexcept { return title_; }
  WorkerSlot* free_slot(const Lock&) noexcept;
  bool spawn(const Lock&, std::string& error) noexcept;
  uint32_t living(const Lock&) const noexcept;
  uint32_t staying(const Lock&) const noexcept;
  void stop_slot(Lock&, WorkerSlot& slot, WorkerSlot::Stop why);
  void tell_to_stop(Lock&, WorkerSlot& slot, WorkerSlot::Stop why);
  // A task past its deadline, what its worker did then, and for how long it is left alone.
  struct Overdue {
    uint64_t task, run, asked;
    Duration wait;
  };
  void look_later(const Lock&, WorkerSlot& slot, Overdue overdue);
  void look_at_overdue(WorkerSlot& slot, Overdue overdue);
  void press_slot_at(const Lock&, TimePoint at, WorkerSlot& slot, int left);
  void press_slot(WorkerSlot& slot, uint64_t run, int left);
  void interrupt(Lock&, WorkerSlot& slot);
  void stop_pressing(const Lock&, WorkerSlot& slot);
  void lose(const Lock&, WorkerSlot& slot);
  void fail_lost(Lock&, WorkerSlot& slot);
  void give_up(Lock&, WorkerSlot& slot);
  TaskList give_up_queue(const Lock&);
  static void fail_all(TaskList tasks, const Failure& why) noexcept;
  void run_slot(WorkerSlot& slot);
  RunOutcome run_once(WorkerSlot& slot, bool& entered) noexcept;
  bool await_restart(Lock&, WorkerSlot& slot, TimePoint earliest);
  void drop_trial(const Lock&, const WorkerSlot& slot);
  void wake_restarting(const Lock&);
  void task_completed(const Lock&);
  bool all_ended(const Lock&) const noexcept;
  bool press_to_end(TimePoint& next) noexcept;
  void await_end(TimePoint deadline) noexcept;
  size_t collect_threads() noexcept;
  void log_run(WorkerSlot& slot, const RunOutcome& outcome, bool was_ready, Duration delay, bool breaker_open);
  LogRecord run_record(WorkerSlot& slot, const RunOutcome& outcome, bool was_ready, Duration delay, bool breaker_open);
  void became_ready(const Lock&, WorkerSlot& slot);
  void refuse_waiting(const Lock&, SendResult why);
  void refuse(const Lock&, Task& task, SendResult why);
  void arm_reoffer(const Lock&);
  bool somebody_may_serve(const Lock&) const noexcept;
  void list_running(const Lock&, WorkerSlot& slot, Task& task);
  bool unlist_running(const Lock&, WorkerSlot& slot, Task& task);

  // Of this pool or the one at the end of its successors; `at` says which.
  static Lock lock_in_charge(Pool*& at);
  static Lock lock_holder(Task& task, Pool*& at);
  SendResult submit(const Lock&, Task& task, std::string& detail, Wakeup*& to_notify);
  static SendResult await_admission(Lock&, Pool*& at, Task& task, TimePoint deadline, Interrupt* interrupt);
  void receive(TaskList tasks) noexcept;
  void take_charge() noexcept;
  bool leads_here(const std::shared_ptr<Pool>& pool) const noexcept;
  void relieve(const Lock&, std::shared_ptr<Pool> successor) noexcept;
  TaskList take_unclaimed(const Lock&) noexcept;
  void pass_on(TaskList unclaimed, bool had_workers) noexcept;
  void follows(const std::shared_ptr<Pool>& predecessor) noexcept;
  std::vector<std::shared_ptr<Pool>> predecessors();
  Ref<Task> find_own_task(uint64_t id);
  PoolReport own_report();
  void hold_back(Lock&, Hold hold) noexcept;

  const PoolOptions options_;
  const std::string title_;  // as sentences and logs call it
  const FileStamp stamp_;
  WorkerHost& host_;
  const std::shared_ptr<Counters> counters_;
  const std::shared_ptr<SnapshotStore> snapshots_;

  mutable Mutex home_mutex_;
  std::weak_ptr<Scope> home_;

  Atomic<bool> draining_{false};
  Atomic<bool> relieved_{false};
  std::shared_ptr<Pool> successor_;  // written before relieved_ is set, never again

  mutable Mutex mutex_;
  Condition life_;  // a slot became ready or stopped, or the breaker opened
  Dispatch dispatch_;
  Supervision supervision_;
  std::vector<std::unique_ptr<WorkerSlot>> slots_;
  Hold hold_ = Hold::None;
  bool in_charge_;
  std::unique_ptr<Snapshot> held_back_;  // what a successor published before it took charge
  std::vector<std::weak_ptr<Scope>> holders_;
  std::vector<std::weak_ptr<Pool>> predecessors_;  // that it was made to follow, or that it has taken over from
  bool let_go_ = false;                            // by the last holder
  bool restarting_ = false;                        // a restart() is under way
  bool replaced_ = false;                          // its successor is ready: nobody comes to hold this one any more
  bool ever_ready_ = false;
  Failure last_failure_;
  TimePoint last_failure_at_{};  // zero: none
  std::string no_thread_;        // why none could be started; for those who waited for it
  uint64_t refusals_ = 0;        // how often those who waited were told that nobody will serve them
  SendResult last_refusal_ = SendResult::Accepted;
  bool reoffer_armed_ = false;
  TimePoint drain_began_{};
  TimePoint give_up_at_{};     // set when the first script is interrupted
  uint32_t interrupting_ = 0;  // calls of the host under way
  bool ends_by_timer_ = false;
  uint64_t drain_timer_ = 0;
  bool collected_ = false;
  Mutex joining_;
};

template <typename Each>
size_t Pool::finish_drain_all(const Each& each) noexcept {
  for (;;) {
    std::shared_ptr<Pool> unfinished;
    TimePoint next = kNever;
    each([&](const std::shared_ptr<Pool>& pool) {
      if (!pool->press_to_end(next) && !unfinished) unfinished = pool;
    });
    if (!unfinished) break;
    unfinished->await_end(next);
  }
  size_t lost = 0;
  each([&](const std::shared_ptr<Pool>& pool) { lost += pool->collect_threads(); });
  return lost;
}

}  // namespace igor
