// A task: one payload on its way to a worker, the updates that come back, and the one end.
//
//            accepted                claimed by a worker
//   (made) ----------->  Pending  --------------------->  Running
//                           |                                |---- complete() -->  Completed
//                           |                                |---- fail() ------>  Failed(reason)
//                           |---- cancel() ----> Cancelled <-|
//                           |---- time_out() --> TimedOut  <-|
//                           |---- fail(Shutdown) --> Failed
//
// Every arrow into an end state is taken under the task's lock by whoever comes first, once; the same
// step counts the end in the pool's counters, so whoever sees the end sees it counted. A task whose
// sender gave up before it was accepted never existed for the counters.
//
// Two sides hold it, the sender's thread and the worker's, and in between the pool (mailbox or slot).
// Each side has its own Wakeup: the sender's is ready while there is an update to read or the task has
// ended, the worker's while the other side has ended the task (cancelled, timed out, shut down).
//
// A task that nobody had claimed moves to the successor of its pool when that takes over: holder() says whose lock
// guards the links now. Its counters stay those of pool(), which are the successor's too.
//
// Only making one allocates: whatever happens to it afterwards works without memory, too (an end's message is
// then left out).
//
// Locks: mutex_ guards state, FIFO, failure, timer and the level of both wake-ups. It is a leaf but for
// being taken under the pool's lock: pool -> task, never the reverse. The links at the end belong to the
// pool and are guarded by its lock. payload() is the worker's alone once it runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "module/clock.h"
#include "module/failure.h"
#include "module/origin.h"
#include "module/payload.h"
#include "module/ref.h"
#include "module/sync.h"
#include "module/update_fifo.h"
#include "module/wakeup.h"

namespace igor {

class Pool;
class WorkerSlot;

enum class TaskState : uint8_t { Pending, Running, Completed, Failed, Cancelled, TimedOut };

class Task final : public RefCounted<Task> {
 public:
  // `max_updates` 0 stands for the usual 16.
  Task(std::shared_ptr<Pool> pool, Payload payload, uint32_t max_updates, Ref<const Origin> origin = nullptr);
  ~Task();

  uint64_t id() const noexcept { return id_; }  // unique in the process, from 1
  TaskState state() const noexcept { return state_.load(std::memory_order_acquire); }
  bool ended() const noexcept { return state() > TaskState::Running; }
  Pool& pool() const noexcept { return *pool_; }
  TimePoint created() const noexcept { return created_; }
  size_t payload_size() const noexcept { return payload_size_; }
  const Ref<const Origin>& origin() const noexcept { return origin_; }  // may be null

  // --- the sender's side -------------------------------------------------------------------------

  enum class ReadResult : uint8_t { Update, Completed, Failed, TimedOut, Interrupted };

  // The next update, or how the task ended once all were read (again and again). Blocks until then,
  // the deadline (kNever: none; now or earlier: a poll), or the interrupt.
  ReadResult read(Payload& update, TimePoint deadline, Interrupt* interrupt) noexcept;
  bool readable();  // an update or the end is there
  bool drained();   // ended, and every update was read
  // Readable iff readable(); made by the first call. -1 with errno.
  int sender_fd();
  // Spins briefly for something to read: for a sender that is about to sleep on the descriptor.
  void sender_before_poll();
  // While set, everything that makes the task readable also notifies `group`: for a sender that waits on
  // several tasks at once. Null ends it; the group must be alive until then.
  void watch(Wakeup* group);
  // The sender is through: cancels a task that has not ended, drops what was not read.
  void cancel() noexcept;
  // The same by somebody else, who gives the reason: the sender reads what was sent so far, then that. False:
  // it had ended already.
  bool cancel(std::string_view reason) noexcept;
  // After ReadResult::Failed.
  const Failure& failure() const noexcept { return failure_; }
  // After ReadResult::Completed: what complete() was given; empty when nothing.
  Payload& result() noexcept { return result_; }

  // --- the worker's side --------------------------------------------------------------------------

  enum class UpdateResult : uint8_t { Sent, Closed, Draining, Interrupted };

  Payload& payload() noexcept { return payload_; }
  // Tells the sender that an update or the end comes in about `soon`, see Wakeup::announce().
  void announce(Duration soon) noexcept { sender_wakeup_.announce(soon); }
  // Blocks while the FIFO is full; ends that wait with Closed (the task has ended), Draining (the pool
  // is to stop) or Interrupted.
  UpdateResult update(Payload update, Interrupt* interrupt) noexcept;
  // update(), complete() and closed() time a task out whose deadline is over, whether its timer has come or not, and
  // may take the lock of the slot's pool for that: never to be called under one. A failure is a failure, however late.
  // False: it had ended already, or has timed out.
  bool complete(Payload result) noexcept;
  bool fail(Failure failure) noexcept;
  // Whether nobody waits for an answer any more. Looks at the clock itself: the timer may be late.
  bool closed() noexcept;
  // For the worker's stream: readable iff the task ended by another's doing.
  int worker_fd();

  // --- the pool's -----------------------------------------------------------------------------------

  // Pending -> Running, on the worker's thread. False when the task has ended meanwhile (cancelled), or has timed out
  // now.
  bool start(WorkerSlot& slot);
  bool time_out() noexcept;
  // Makes a blocked update() look at its conditions again.
  void wake_worker() noexcept { worker_wakeup_.notify(); }

 private:
  friend class Dispatch;
  friend class Mailbox;
  friend class Pool;
  friend class TaskList;
  friend class WorkerSlot;

  // Takes the transition if the task has not ended yet; with the lock held on entry, not on return.
  bool end(std::unique_lock<Mutex>& lock, TaskState state) noexcept;
  // Ends the task if its deadline is over. With the lock, which is let go of when that ended it.
  bool end_if_late(std::unique_lock<Mutex>& lock) noexcept;
  // Times the task out, as end() does it.
  bool end_late(std::unique_lock<Mutex>& lock) noexcept;

  // The pool whose lock guards the links: pool(), or one that succeeded it. Changed under the old holder's lock.
  Pool* holder() const noexcept { return holder_.load(std::memory_order_acquire); }

  const std::shared_ptr<Pool> pool_;
  const uint64_t id_;
  const TimePoint created_;
  const size_t payload_size_;
  const Ref<const Origin> origin_;
  Atomic<Pool*> holder_;  // kept alive by pool_, which keeps its successors

  Mutex mutex_;
  Atomic<TaskState> state_{TaskState::Pending};  // written under mutex_
  bool counted_ = false;                         // accepted: its end goes into the counters
  TimePoint started_{};                          // claimed
  TimePoint ended_at_{};
  WorkerSlot* slot_ = nullptr;   // while Running; slots live as long as the pool
  Duration time_limit_{};        // from acceptance; 0: none. Constant once the task was submitted
  TimePoint deadline_{};         // known with acceptance; TimePoint{}: none
  uint64_t deadline_timer_ = 0;  // 0: none
  UpdateFifo updates_;
  Payload payload_;
  Payload result_;
  Failure failure_;
  Wakeup sender_wakeup_;
  Wakeup worker_wakeup_;
  Wakeup* watcher_ = nullptr;

  // Guarded by the holder's lock.
  enum class Admission : uint8_t { Waiting, Accepted, Refused };
  Admission admission_ = Admission::Waiting;
  uint8_t refusal_ = 0;  // a Pool::SendResult
  bool in_mailbox_ = false;
  Task* next_ = nullptr;  // mailbox or running list
  Task* previous_ = nullptr;
  WorkerSlot* offered_to_ = nullptr;
  bool running_listed_ = false;
};

}  // namespace igor
