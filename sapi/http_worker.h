// An HTTP worker: a script that is started once and serves many requests, each by a call of
// frankenphp_handle_request() (FrankenPHP's worker mode).
//
// The script's run is one request of the engine, as any run of a worker's script is (worker_script.h). In it
// the script boots, and then asks for one HTTP request after the other. Around each of them the parts of the
// engine that belong to a request are ended and begun again (request_state.h); in between there is no
// request, and what the script prints goes to the log.
//
//   boot -> [ wait -> begin -> callback -> response complete -> reset ]* -> end of the run
//
// The response is complete when shutdown functions, output buffers and session have ended; the reset comes
// after it, while the client reads. Whatever ends the script in the middle of a request (exit, a fatal error,
// a limit) ends the run with it: run_ended() sees to the answer.
//
// Owner: the worker's thread object (PhpThread), as long as the thread. Threads: the worker's own; given_up()
// goes through the queue. Functions that enter the engine say so.
#pragma once

#include <memory>

#include "sapi/request_queue.h"
#include "sapi/request_state.h"

namespace igor::sapi {

class HttpWorker {
 public:
  enum class Handled : uint8_t {
    Served,
    Stop,     // the script shall end
    Exiting,  // the callback has called exit(): the exception that unwinds the script is in flight
    Nested,   // called from inside a request
  };

  HttpWorker(std::shared_ptr<RequestQueue> queue, PhpThread& thread, WorkerSlot& slot);
  ~HttpWorker();

  // Bracket a run of the script. run_started() after request startup, run_ended() before request shutdown,
  // run_over() after it. The first two enter the engine.
  void begin_run();
  void run_started();
  void run_ended();
  // Whether a request was being served when the run ended.
  bool run_over();

  // frankenphp_handle_request(). Waits for a request and calls `call` for it. Enters the engine.
  Handled handle(zend_fcall_info& call, zend_fcall_info_cache& cache);

  bool serving() const noexcept { return serving_; }

 private:
  void begin(HttpRequest& request);
  bool finish(HttpRequest& request);
  void count();

  PhpThread& thread_;
  WorkerSlot& slot_;
  RequestQueue::Seat seat_;
  RequestState state_;
  bool serving_ = false;
  TimePoint began_{};  // serving
};

}  // namespace igor::sapi
