// A thread that can run PHP: the engine's thread-local state (TSRM), and what the host knows about what
// runs on it now.
//
// Made on the thread itself, as a local of the thread's main function, below every trampoline: so no
// bailout can skip its destructor. current() finds it from any callback of the engine, on the thread's
// own stack or on a Fiber's: the engine moves stacks, not threads.
//
// Threads: everything belongs to the thread itself, except request_interrupt() and nudge(), which any
// thread may call for as long as the owner keeps the object alive, and interrupt, which has its own rules.
//
// Locks: one mutex, a leaf, between request_interrupt() and the moment in which the engine's state is
// made anew (recycle) or freed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "module/failure.h"
#include "module/interrupt.h"
#include "module/os_thread.h"
#include "module/snapshot.h"

namespace igor {
class WorkerSlot;
class Scope;
}  // namespace igor

namespace igor::sapi {

class HttpRequest;
class HttpWorker;

using EnvPairs = std::vector<std::pair<std::string, std::string>>;

class PhpThread {
 public:
  enum class Kind : uint8_t { Http, Worker, Cli };

  // Attaches the calling thread to the engine, which must be started. The label is for logs.
  PhpThread(Kind kind, std::string label);
  ~PhpThread();
  PhpThread(const PhpThread&) = delete;
  PhpThread& operator=(const PhpThread&) = delete;

  // The calling thread's, or null when it runs no PHP.
  static PhpThread* current() noexcept;
  // How many threads are attached now; the engine is torn down only at none.
  static uint32_t attached() noexcept;

  // Whether this process was forked from the one that has the workers. There is one thread in it then, and
  // locks may be held by those that are not there: the child must not touch pools, tasks, requests and the
  // log, and must not live on when its script is over. See child_process.h.
  static bool in_forked_child() noexcept;
  // In place of request shutdown: ends the process, if it is such a child of a server.
  void leave_forked_child() noexcept;

  // Any thread: ends the system call that the thread is blocked in, if any.
  void nudge() const noexcept { OsThread::nudge(os_thread_); }
  // Any thread: ends what runs here at its next instruction, by unwinding like exit() does; asked again
  // while it still runs (a destructor that loops), by a bailout. Wakes waits that watch `interrupt`.
  // A system call goes on; see nudge().
  void request_interrupt() noexcept;

  // Brackets one script, from before request startup until after request shutdown: forgets interrupts, failures and
  // output of the one before. begin_run() may wait for a while (see OpcacheGate).
  void begin_run() noexcept;
  // Request startup is over.
  void run_started(bool succeeded) noexcept;
  void end_run() noexcept;

  // Until the run is over and the engine has destroyed what the script's variables held: they may point into it.
  void keep(Ref<const Snapshot> snapshot) { kept_.push_back(std::move(snapshot)); }

  // Gives the thread a fresh engine state, after a request shutdown that did not come to its end and
  // left the old one unfit for use.
  void recycle();

  // The engine is about to be torn down, and this thread's state with it: there is nothing to detach from
  // any more. While nothing runs here; any thread.
  void forget() noexcept;

  // Called by the engine's hooks when something fatal is said. The first one of a run is kept, because
  // what follows it is mostly its consequence.
  void record_failure(Failure failure) noexcept;
  void forget_failure() noexcept { failed_ = false; }
  // Whether the run was ended from outside.
  bool interrupted() const noexcept { return interrupts_of_run_ != 0; }
  const Failure* recorded_failure() const noexcept { return failed_ ? &failure_ : nullptr; }

  // Script output that has nowhere else to go: logged line by line.
  void log_output(std::string_view text) noexcept;
  void flush_logged_output() noexcept;

  // For the interrupt hook: whether an interrupt was asked for since the last call, and which of the run
  // it is (1, 2, ...); 0: none.
  uint32_t take_interrupt() noexcept;

  const Kind kind;
  const std::string thread_label;
  igor::Interrupt interrupt;
  WorkerSlot* slot = nullptr;  // of a worker thread; borrowed, lives longer than this
  // Where worker names resolve for the request that is served; borrowed. Null on a worker's thread otherwise: then
  // they do in its pool's home, which moves when a reload keeps the pool.
  Scope* scope = nullptr;
  HttpRequest* request = nullptr;         // while one is served; borrowed from the pool
  const EnvPairs* env = nullptr;          // what getenv() sees besides the process's own; borrowed for a run
  const EnvPairs* request_env = nullptr;  // and what comes before that, of a request in worker mode; borrowed
  HttpWorker* http_worker = nullptr;      // of an HTTP worker's thread; borrowed, lives as long as this
  uint64_t task_id = 0;                   // of the task that the running code works for, for logs; 0: none

 private:
  void attach();
  void detach();

  const pthread_t os_thread_ = pthread_self();
  std::mutex mutex_;
  void* vm_interrupt_ = nullptr;  // the engine's flag on this thread; under mutex_
  std::atomic<uint32_t> interrupts_asked_{0};
  uint32_t interrupts_taken_ = 0;
  uint32_t interrupts_of_run_ = 0;
  bool forgotten_ = false;
  bool alone_ = false;  // what OpcacheGate::enter() said
  bool failed_ = false;
  Failure failure_;
  std::string output_line_;
  std::vector<Ref<const Snapshot>> kept_;
};

// Lets the engine's interrupts end the scripts of threads that were asked to; once per start of it.
void install_interrupt_hook();
void remove_interrupt_hook();

}  // namespace igor::sapi
