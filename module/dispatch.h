// Who gets which task: the mailbox on one side, the waiting slots on the other, and the offers between.
//
// A task that comes in is offered to one of the slots that wait, which one being the policy's choice: usually
// the one that began to wait last (its caches are warm, and the others may sleep on). If none waits it goes
// into the mailbox. A slot that asks is offered the oldest task. So one task wakes one worker. An offer is not a
// hand-over: the task stays Pending until the slot claims it. A slot that was waiting in a descriptor may in truth be
// busy elsewhere in its event loop, and one that was told "task" may do something else first: such an offer is unsure,
// and when it has not been claimed within kClaimTime it goes to another slot that waits.
//
// Invariant: a slot is in the idle list iff it has asked, has no offer, and there was nothing for it then;
// unless paused, the mailbox is non-empty only while no slot is idle.
//
// Paused, it offers and hands out nothing: what was offered goes back, tasks take their places in the mailbox,
// slots wait.
//
// Nothing here allocates.
//
// Not thread-safe: every function takes the pool's held lock as proof.
#pragma once

#include <vector>

#include "module/clock.h"
#include "module/mailbox.h"
#include "module/pool_options.h"
#include "module/ref.h"
#include "module/sync.h"
#include "module/task_list.h"
#include "module/task_step.h"
#include "module/worker_slot.h"

namespace igor {

class Dispatch {
 public:
  using Lock = std::unique_lock<Mutex>;
  static constexpr Duration kClaimTime = std::chrono::milliseconds(3);

  using Slots = std::vector<std::unique_ptr<WorkerSlot>>;

  explicit Dispatch(uint32_t queue, DispatchPolicy policy = DispatchPolicy::Shared)
      : mailbox_(queue), policy_(policy) {}

  enum class Submitted { Offered, Queued, Waiting };
  // Takes a reference in each case. Waiting: its sender has no place yet and must wait. On the sender's thread.
  // With `to_notify` a slot that is to wake is not notified here but put there, for when the caller has let go of
  // the lock, which it will want.
  Submitted submit(const Lock&, Task& task, Wakeup** to_notify = nullptr);

  // Who would be notified of a task that came now; null: nobody waits.
  Wakeup* next_to_wake(const Lock&) const noexcept;

  // The slot wants its next task. True when it has an offer now; otherwise it waits.
  bool ask(const Lock&, WorkerSlot& slot);
  // The slot takes its offer or the oldest task; null when there is none. Started and ended tasks are
  // told apart by the caller (Task::start).
  Ref<Task> take(const Lock&, WorkerSlot& slot);
  // The slot was parked when its offer came, and goes on now without a promise to claim it.
  void unpark(const Lock&, WorkerSlot& slot);
  // The slot waits no longer (its script ended): its offer goes to another.
  void leave(const Lock&, WorkerSlot& slot);

  // Removes a task that nobody shall get any more. False when it was not here.
  bool withdraw(const Lock&, Task& task);
  // Removes and returns every task, offered or in the mailbox, oldest first; those whose senders wait are last.
  TaskList take_all(const Lock&, const Slots& slots) noexcept;
  // Takes in what another's take_all() returned, before everything that is here and in that order: accepted
  // tasks keep their acceptance. Returns how many found no waiting slot.
  size_t enlist(const Lock&, TaskList tasks) noexcept;

  void pause(const Lock&, const Slots& slots) noexcept;
  void resume(const Lock&) noexcept;
  // Room for one more task without its sender waiting.
  bool has_room(const Lock&) const noexcept { return can_offer() || mailbox_.has_free_place(); }

  // True when some offer may have to be moved: the pool then calls reoffer() after kClaimTime.
  bool wants_reoffer(const Lock&) const noexcept { return unsure_offers_ > 0 && idle_head_ != nullptr; }
  void reoffer(const Lock&, const Slots& slots, TimePoint now);

  // Senders without a place: those that can have one now are accepted, their senders woken.
  void admit(const Lock&);
  const Mailbox& mailbox() const noexcept { return mailbox_; }
  Mailbox& mailbox() noexcept { return mailbox_; }
  bool has_idle() const noexcept { return idle_head_ != nullptr; }

 private:
  bool can_offer() const noexcept { return !paused_ && idle_head_ != nullptr; }
  WorkerSlot& pick() const noexcept;
  static void mark_accepted(Task& task);
  void accept(Task& task);
  static void step(Task& task, TaskStep::Kind kind, const WorkerSlot& slot);
  void offer(WorkerSlot& slot, Ref<Task> task);
  void prepare_offer(WorkerSlot& slot, Ref<Task> task);  // all but the notification
  Ref<Task> unoffer(WorkerSlot& slot);
  void idle_push_front(WorkerSlot& slot);
  void idle_push_back(WorkerSlot& slot);
  void idle_remove(WorkerSlot& slot);

  Mailbox mailbox_;
  const DispatchPolicy policy_;
  bool paused_ = false;
  WorkerSlot* idle_head_ = nullptr;  // the one that began to wait last
  WorkerSlot* idle_tail_ = nullptr;
  size_t unsure_offers_ = 0;  // not claimed yet, by slots that may not be about to
};

}  // namespace igor
