// The PHP threads that serve HTTP requests, and the one queue in front of them.
//
// First come, first served. An idle thread takes the request straight from submit(), without the queue;
// of several idle ones the last to become idle is woken, because its caches and its memory are the
// warmest, and the others' pages can be swapped or given back. A request waits for a thread at most
// max_wait; the wait is the caller's own (HttpRequest::next), so there is no timer thread.
//
// Owner: the engine. Lock: one mutex; a request's own mutex may be taken under it, never the other way
// round. Lifetime: stop() ends or abandons the threads; what abandoned threads use is shared with them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "module/os_thread.h"
#include "module/ref.h"
#include "sapi/http_request.h"
#include "sapi/request_holder.h"

namespace igor::sapi {

class HttpPool final : public RequestHolder {
 public:
  struct Options {
    uint32_t threads = 1;
    uint32_t max_wait_ms = 0;  // 0: no bound
    size_t stack_bytes = OsThread::kDefaultStackBytes;
  };
  struct Load {
    uint32_t threads;
    uint32_t busy;
    uint32_t queued;
  };

  HttpPool();
  ~HttpPool();

  // False with a sentence in `error`, with nothing left running.
  bool start(const Options& options, std::string& error);

  // Any thread. False when the pool does not take requests: not started, or stopping.
  bool submit(HttpRequest& request);
  // Any thread: takes the request out of the queue; false when it is not in it any more.
  bool withdraw(HttpRequest& request) noexcept override;

  // Refuses what is queued, lets running scripts go on for `grace`, then interrupts them. False when a
  // thread did not end within a second of that: it is left behind.
  bool stop(std::chrono::milliseconds grace);

  Load load() const;

 private:
  struct Thread;
  struct Shared;

  static void thread_main(std::shared_ptr<Shared> shared, Thread* thread);

  // Shared with the threads, so that an abandoned one never touches freed memory.
  std::shared_ptr<Shared> shared_;
};

}  // namespace igor::sapi
