// Runs requests, each on the thread that calls in with it, from request startup to the end of the script.
//
// Why there are no PHP threads for this: to hand a small request to another thread and its answer back
// takes two wake-ups, each of which costs more than the script does. A thread that calls in gets an
// engine state of its own (a PhpThread) the first time and keeps it; how many may be inside at once is the
// host's to bound, because it can let those that are too many wait without a thread. Asynchronous
// signals are blocked while PHP runs, as on all threads that run it.
//
// A thread that ends gives its engine state back. The others' states are taken along when the engine is torn
// down: they rest, nobody runs in them, and the epoch tells their threads to make new ones should they come
// back.
//
// Owner: the engine, of which there is one. Threads: run() on any; open, stop and close on the engine's
// life-cycle side, one at a time; load() on any. Lock: one mutex; a request's own may be taken under it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "module/clock.h"

namespace igor::sapi {

class HttpRequest;
class PhpThread;

class HttpRunner {
 public:
  struct Thread {
    std::string name;
    std::string request;  // its method and URI; empty: it rests
    bool lost = false;    // stop() could not end what it runs
    TimePoint since{};    // when that began
    uint64_t requests = 0;
  };
  struct Load {
    uint32_t busy = 0;
    uint64_t requests = 0;
    std::vector<Thread> threads;  // all that have called in
  };

  HttpRunner() = default;
  HttpRunner(const HttpRunner&) = delete;
  HttpRunner& operator=(const HttpRunner&) = delete;

  // From here on requests are run. `max_requests`: after so many a thread's engine state is made afresh; 0:
  // never.
  void open(uint32_t max_requests);

  // Runs the request to the end of its script, which may be later than the end of the response. False, with
  // nothing run, when the runner is not open. The request is refused then.
  bool run(HttpRequest& request);

  // Runs nothing more, lets running scripts go on for `grace`, then interrupts them. False when one did not
  // end within a second of that: its thread is still inside.
  bool stop(std::chrono::milliseconds grace);

  // After a stop that came to its end: the engine is about to free the states of the threads that rest.
  void forget_threads();
  // Whether no other threads are attached to the engine than those that rest. They may end at any time, so both are
  // counted under the lock that they take for it.
  bool only_resting() const;

  Load load() const;

 private:
  struct Caller;
  struct Holder;
  struct Visit;

  Caller& caller(std::unique_lock<std::mutex>& lock);
  void thread_ends(Caller* caller) noexcept;

  mutable std::mutex mutex_;
  std::condition_variable none_runs_;
  std::vector<Caller*> callers_;  // in the order of their numbers; null: that thread has ended
  uint64_t epoch_ = 0;            // of the engine; a caller of another one has nothing to give back
  uint64_t requests_ = 0;
  uint32_t max_requests_ = 0;
  uint32_t running_ = 0;
  bool open_ = false;
};

}  // namespace igor::sapi
