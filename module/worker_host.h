// What a pool needs of whoever runs its workers' scripts. The engine implements it with PHP threads,
// unit tests with plain functions: so the pool, its supervision and its tasks know no engine.
//
// All calls that name a slot, but interrupt(), come on the slot's own thread, in the order enter, run*, leave.
// interrupt() may come at any time, before enter() and after leave() too.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "module/failure.h"
#include "module/os_thread.h"

namespace igor {

class WorkerSlot;
struct PoolOptions;

struct RunOutcome {
  bool clean = false;  // returned, or exit(0)
  Failure failure;     // how it ended; for a clean one: Exited with status 0
};

class WorkerHost {
 public:
  virtual ~WorkerHost() = default;

  // Any thread: how large the stack of a slot's thread must be.
  virtual size_t stack_bytes() const noexcept { return OsThread::kDefaultStackBytes; }

  // Any thread: the beginning of a thread's name, as tools of the system show it.
  virtual std::string_view thread_prefix() const noexcept { return "worker-"; }
  // Any thread: what a script of such a pool must do to be ready, as half a sentence ("it must ...").
  virtual std::string_view ready_hint(const PoolOptions&) const noexcept { return "it must ask for work"; }

  // Makes the thread fit for running scripts. False with a sentence in `error`: the slot counts it as
  // a failed run, and tries again when the next is due.
  virtual bool enter(WorkerSlot& slot, std::string& error) = 0;
  virtual void leave(WorkerSlot& slot) = 0;

  // Runs the entrypoint once, to its end. The implementation calls slot.script_ended(failure) as soon
  // as the script is over, before any clean-up that may take time, so that senders learn of it at once.
  virtual RunOutcome run(WorkerSlot& slot) = 0;

  // Any thread: asks what runs on the slot's thread to end soon (at its next instruction or, blocked in
  // a system call, as far as EINTR reaches). Called more than once while it does not end.
  virtual void interrupt(WorkerSlot& slot) = 0;
};

}  // namespace igor
