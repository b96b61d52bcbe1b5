// Runs a worker's script on its slot's thread, again and again: one request of the engine per run, without a
// client. What the script prints goes to the log. The script of an HTTP worker asks for requests in its run,
// see http_worker.h.
//
// A run tells the slot how the script ended as soon as that is known: after the last instruction of the
// script, before its shutdown functions, destructors and memory are dealt with, which may take any time.
//
// Threads: enter, run and leave on the slot's thread, interrupt and recycle_all from any. Locks: one mutex, a leaf, so
// that interrupt() never meets a thread that is just leaving; and one for the list of all slots that are in, under
// which recycle_all() takes their pools'. Lifetime: longer than all pools.
#pragma once

#include <mutex>

#include "module/worker_host.h"
#include "sapi/php_thread.h"

struct _zval_struct;

namespace igor::sapi {

class PhpWorkerHost : public WorkerHost {
 public:
  size_t stack_bytes() const noexcept override;
  std::string_view thread_prefix() const noexcept override { return "php-"; }
  std::string_view ready_hint(const PoolOptions& options) const noexcept override;
  bool enter(WorkerSlot& slot, std::string& error) override;
  void leave(WorkerSlot& slot) override;
  RunOutcome run(WorkerSlot& slot) override;
  void interrupt(WorkerSlot& slot) override;

  // Tells every worker of every host to start afresh when it has done what it does.
  static void recycle_all();

 private:
  std::mutex mutex_;  // between interrupt() and leave()
};

// The engine's callback: what $_SERVER holds in a worker, on top of the environment.
void register_worker_variables(PhpThread& thread, _zval_struct* variables);

}  // namespace igor::sapi
