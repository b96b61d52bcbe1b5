// A worker slot: one place in a pool for a thread that runs the worker's script again and again.
//
//   Stopped -> Starting -> Ready -> Restarting -> Starting ...        (until the pool drains)
//                 \_________/  \______ -> Stopped                     (drained)
//                                \-----> Lost                         (could not be ended)
//
// Ready means that the script has asked for its first signal in this run. A slot *waits* when it has asked
// and there was nothing: only a waiting slot is offered new tasks, one at a time. Asking again, through any
// of the ways below, is what makes it wait again; how many tasks it holds does not matter.
//
// Threads: the calls under "the script's thread" belong to the slot's thread alone. label(), index(),
// options(), stopping() and stop() may be used from any. What the pool and its Dispatch keep here is guarded by
// the pool's lock.
//
// One worker can be told to stop while its pool goes on: its script hears of it as when the pool drains, is
// interrupted after stop_grace, and given up if that does not help. A script that goes on with a task whose time has
// run out, and shows no sign of life, is interrupted without that grace (see Pool::overdue).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "module/clock.h"
#include "module/failure.h"
#include "module/os_thread.h"
#include "module/ref.h"
#include "module/sync.h"
#include "module/task.h"
#include "module/wakeup.h"

namespace igor {

struct PoolOptions;

class WorkerSlot {
 public:
  enum class State : uint8_t { Stopped, Starting, Ready, Restarting, Lost };
  enum class Signal : uint8_t { None, Task, Stop, Interrupted };
  // Why this worker is told to stop: to be started afresh, because it has had its share, because somebody
  // wants it, or because it is stuck in a task that is over; or for good.
  enum class Stop : uint8_t { None, Recycle, Restart, Overdue, Retire };

  WorkerSlot(Pool& pool, uint32_t index) : pool_(pool), index_(index) {}

  Pool& pool() const noexcept { return pool_; }
  const PoolOptions& options() const noexcept;
  uint32_t index() const noexcept { return index_; }
  std::string label() const;  // "name #index"
  // The script shall end: the whole pool drains, or this worker was told to.
  bool stopping() const noexcept;
  // How often the script was started. Under the pool's lock, or on the slot's own thread.
  uint64_t runs() const noexcept { return runs_; }
  // Tells this worker alone. A later reason never takes back a stronger one.
  void stop(Stop why);

  // For the host, which finds its own thread object by it. Not touched here.
  Atomic<void*> host_data{nullptr};

  // --- the script's thread -----------------------------------------------------------------------

  // The script is ready for work that does not come through the pool (PoolKind::Requests). For tasks the
  // calls below say so.
  void ready();
  // For waiting for such work: stop() and a drain notify it.
  Wakeup& wakeup() noexcept { return wakeup_; }
  // A piece of such work was done: counts towards max_tasks. How long it waited for a worker, and took.
  void handled(Duration waited = {}, Duration took = {});
  // What the script holds now, between two pieces of work. Beyond max_memory the worker is recycled.
  void memory_held(uint64_t bytes);
  // What it does now, for people to read ("GET /x"); empty: nothing. `at` is when that began.
  // Without memory for it nothing is to be read.
  void set_activity(std::initializer_list<std::string_view> what, TimePoint at) noexcept;

  // Asks for the next signal without blocking. Stop comes first; Task means that claim() has one.
  Signal poll_signal();
  // The same, and waits for one. None at the deadline. `claims_at_once`: the caller goes straight to
  // claim(), so nobody has to watch whether it does.
  Signal wait_signal(TimePoint deadline, Interrupt* interrupt, bool claims_at_once = false);
  // Takes the task that was offered, or the oldest in the mailbox; null (and the slot waits) when there
  // is none. Cancelled tasks are skipped. The task is Running from then on.
  Ref<Task> claim();
  // The descriptor that is readable while a stop is pending or a task is offered. Asking for it asks
  // for the signal. With `keeps_polling` the caller's event loop goes on polling the descriptor without
  // asking again: the slot then waits again by itself after each claim. -1 with errno.
  int signal_fd(bool keeps_polling);
  // The script let go of its side of a task, ended or not.
  void release(Task& task);
  // The script is over: every task that it still holds fails, what it was offered goes to others.
  // Called by the host as soon as it knows, on the slot's thread.
  void script_ended(const Failure& failure);

 private:
  friend class Dispatch;
  friend class Pool;

  void alive(const std::unique_lock<Mutex>&) noexcept { ++asked_; }
  void spend(std::unique_lock<Mutex>&);
  void recycle_if_spent(std::unique_lock<Mutex>&);

  Pool& pool_;
  const uint32_t index_;
  Wakeup wakeup_;

  // Guarded by the pool's lock.
  State state_ = State::Stopped;
  Atomic<Stop> stop_{Stop::None};  // written under the lock
  TimePoint since_{};              // of what it does now, as a report shows it
  uint64_t press_timer_ = 0;       // presses on a script that was told to stop; 0: none
  uint64_t asked_ = 0;             // how often the script asked for a signal or a task: its signs of life
  uint64_t overdue_task_ = 0;      // the id of the task that it was found stuck in; with Stop::Overdue
  uint64_t runs_ = 0;
  uint64_t handled_ = 0;        // tasks and requests in all runs
  uint64_t taken_ = 0;          // tasks or requests in this run
  bool spent_ = false;          // has had its share in this run: recycled as soon as it holds no task
  bool took_task_ = false;      // in this run
  bool keeps_polling_ = false;  // in this run
  bool idle_ = false;           // waits, and is in the idle list
  bool parked_ = false;         // waits inside wait_signal: sure to see what it is offered
  bool ever_ready_ = false;     // in any run
  WorkerSlot* idle_next_ = nullptr;
  WorkerSlot* idle_previous_ = nullptr;
  Ref<Task> offered_;
  TimePoint offered_at_{};
  uint32_t running_count_ = 0;
  Task* running_ = nullptr;  // list of the tasks it holds, through Task::next_; owns a reference each
  OsThread thread_;

  Atomic<uint64_t> memory_{0};
  Mutex activity_mutex_;  // a leaf
  std::string activity_;
  TimePoint activity_since_{};
};

}  // namespace igor
