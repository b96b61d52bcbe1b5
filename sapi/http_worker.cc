#include "sapi/http_worker.h"

#include <algorithm>
#include <string>

#include "module/worker_slot.h"
#include "sapi/child_process.h"
#include "sapi/engine.h"
#include "sapi/error_report.h"
#include "sapi/http_request.h"
#include "sapi/http_script.h"
#include "sapi/zend.h"

namespace igor::sapi {

std::shared_ptr<void> make_request_queue(const PoolOptions&) {
  Engine& engine = Engine::instance();
  RequestQueue::Options options;
  options.max_wait = engine.max_wait();
  options.max_idle = engine.max_idle();
  options.budget = &engine.budget();
  return std::make_shared<RequestQueue>(std::move(options));
}

HttpWorker::HttpWorker(std::shared_ptr<RequestQueue> queue, PhpThread& thread, WorkerSlot& slot)
    : thread_(thread), slot_(slot), seat_(std::move(queue), slot) {
  seat_.queue().join(seat_);
}

HttpWorker::~HttpWorker() {
  seat_.queue().leave(seat_);
}

void HttpWorker::begin_run() {
  state_.begin_run();
  serving_ = false;
}

void HttpWorker::run_started() {
  // The time to boot is the pool's matter (boot_timeout), and a worker that waits for requests needs none.
  zend_unset_timeout();
  // Nobody sees what is displayed now; the log gets it. Not through the settings, so that the script finds
  // those as they are configured, and changes them as it likes.
  PG(display_errors) = false;
  PG(log_errors) = true;
  // A client that goes is no reason for the application to boot again, as it is none in FrankenPHP. A setting, so that
  // the script finds it and may change it.
  zend_string* const name = ZSTR_INIT_LITERAL("ignore_user_abort", false);
  zend_alter_ini_entry_chars(name, "1", 1, PHP_INI_USER, PHP_INI_STAGE_RUNTIME);
  zend_string_release(name);
}

HttpWorker::Handled HttpWorker::handle(zend_fcall_info& call, zend_fcall_info_cache& cache) {
  if (serving_) return Handled::Nested;
  if (!state_.has_boot_state()) {
    for (const char* name : {"display_errors", "log_errors", "output_buffering", "implicit_flush"}) {
      refresh_setting(name);
    }
    state_.take_boot_state();
    slot_.ready();
  }
  // What the script has printed since is the log's, before a request comes.
  php_output_end_all();
  thread_.flush_logged_output();
  HttpRequest* const request = seat_.queue().take(seat_, &thread_.interrupt);
  if (!request) return Handled::Stop;

  begin(*request);
  // A form of which half is missing must not be acted upon, and nobody waits for the answer.
  if (!request->input_cut()) {
    zval result;
    ZVAL_UNDEF(&result);
    call.retval = &result;
    zend_call_function(&call, &cache);
    zval_ptr_dtor(&result);
  }
  if (EG(exception) && !report_exception(thread_)) return Handled::Exiting;
  if (PhpThread::in_forked_child()) {
    // The answer is the parent's, and so is the next request: the child's script ends here.
    zend_throw_unwind_exit();
    return Handled::Exiting;
  }
  return finish(*request) ? Handled::Served : Handled::Exiting;
}

// One request more was answered.
void HttpWorker::count() {
  const TimePoint ended = now();
  slot_.set_activity({}, ended);
  slot_.handled(seat_.waited(), ended - began_);
}

void HttpWorker::begin(HttpRequest& request) {
  began_ = now();
  {
    // Without the query: it may hold what is not for everybody who looks at a report.
    const std::string_view uri = request.request_uri();
    slot_.set_activity({request.method(), " ", uri.substr(0, std::min(uri.find('?'), size_t{256}))}, began_);
  }
  state_.deactivate_idle();
  serving_ = true;
  thread_.request = &request;
  thread_.scope = request.scope();
  thread_.request_env = request.env().empty() ? nullptr : &request.env();
  thread_.task_id = 0;
  state_.activate_request(thread_, request);
}

bool HttpWorker::finish(HttpRequest& request) {
  if (!state_.finish_output(thread_)) return false;
  request.finish();
  state_.reset_request();
  serving_ = false;
  thread_.request = nullptr;
  thread_.scope = nullptr;
  thread_.request_env = nullptr;
  thread_.task_id = 0;
  state_.activate_idle(thread_);
  seat_.queue().done(seat_);
  reap_forked_children();
  count();
  slot_.memory_held(zend_memory_usage(false));
  return true;
}

void HttpWorker::run_ended() {
  // The engine says so itself only while errors are not displayed.
  const bool failed = thread_.recorded_failure() || thread_.interrupted();
  if (serving_ && failed && !SG(headers_sent) && SG(sapi_headers).http_response_code < 400) {
    SG(sapi_headers).http_response_code = 500;
  }
  state_.leave_run();
}

bool HttpWorker::run_over() {
  if (!serving_) return false;
  serving_ = false;
  thread_.request->finish();
  thread_.request = nullptr;
  thread_.scope = nullptr;
  forget_http_request();
  seat_.queue().done(seat_);
  count();
  return true;
}

}  // namespace igor::sapi
