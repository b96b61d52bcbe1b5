// frankenphp_worker_task_*() and frankenphp_worker_get_signaling_stream(), as igor.stub.php describes them.
#include <ext/spl/spl_exceptions.h>

#include "module/activity.h"
#include "module/worker_slot.h"
#include "php-api/signal_stream.h"
#include "php-api/task_failed.h"
#include "php-api/task_sending.h"
#include "php-api/task_stream.h"
#include "sapi/payload_codec.h"
#include "sapi/php_thread.h"

using namespace igor;
using namespace igor::api;

ZEND_FUNCTION(frankenphp_worker_task_send) {
  zend_string* name;
  zval* payload;
  double timeout = 30.0;
  ZEND_PARSE_PARAMETERS_START(2, 3)
    Z_PARAM_STR(name)
    Z_PARAM_ARRAY(payload)
    Z_PARAM_OPTIONAL
    Z_PARAM_DOUBLE(timeout)
  ZEND_PARSE_PARAMETERS_END();

  TimePoint deadline;
  if (!deadline_of_argument(3, timeout, deadline)) RETURN_THROWS();
  php_stream* const stream = send_task("frankenphp_worker_task_send", name, payload, deadline);
  if (stream == nullptr) RETURN_THROWS();
  php_stream_to_zval(stream, return_value);
}

namespace {

// Interrupted: the engine ends the script at its next instruction; until then this says why.
void throw_interrupted() { zend_throw_exception(spl_ce_RuntimeException, "interrupted: the server is shutting down", 0); }

// Waits without entering the engine.
Task::ReadResult read_update(Task& task, php_stream* stream) {
  activity::idle_end();
  return task.read(payload_in_hand(stream), kNever, &sapi::PhpThread::current()->interrupt);
}

Task::UpdateResult send_update(Task& task, Payload& payload) {
  activity::idle_end();
  return task.update(std::move(payload), &sapi::PhpThread::current()->interrupt);
}

// The worker can't take a task whose payload it does not understand: the task fails with what it threw.
void fail_undecodable(Task& task) {
  Failure failure = failure_in_flight();
  task.fail(std::move(failure));
}

// The slot's list of running tasks keeps it alive; so nothing is lost if the engine bails out.
Task* claim(WorkerSlot& slot) { return slot.claim().get(); }

void attach_claimed(php_stream* stream, Task* task, WorkerSlot* slot) { attach_task(stream, Ref<Task>(task), slot); }

}  // namespace

ZEND_FUNCTION(frankenphp_worker_task_read) {
  zval* resource;
  ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_ZVAL(resource)
  ZEND_PARSE_PARAMETERS_END();

  php_stream* stream;
  Task* const task = task_of_argument(1, resource, TaskSide::Sender, &stream);
  if (task == nullptr) RETURN_THROWS();
  switch (read_update(*task, stream)) {
    case Task::ReadResult::Update:
      if (!sapi::decode_payload(payload_in_hand(stream), return_value)) ZVAL_NULL(return_value);
      payload_in_hand(stream).reset();
      return;
    case Task::ReadResult::Completed: RETURN_NULL();
    case Task::ReadResult::Failed: throw_failed(kAborted, task->failure()); RETURN_THROWS();
    case Task::ReadResult::TimedOut:  // only with a deadline
    case Task::ReadResult::Interrupted: throw_interrupted(); RETURN_THROWS();
  }
}

ZEND_FUNCTION(frankenphp_worker_task_receive) {
  ZEND_PARSE_PARAMETERS_NONE();
  WorkerSlot* const slot = require_worker("frankenphp_worker_task_receive");
  if (slot == nullptr) RETURN_THROWS();
  Task* const task = claim(*slot);
  if (task == nullptr) RETURN_NULL();
  sapi::PhpThread::current()->task_id = task->id();

  php_stream* const stream = make_task_stream(TaskSide::Worker);
  attach_claimed(stream, task, slot);
  zval payload;
  if (!sapi::decode_payload(task->payload(), &payload)) {
    fail_undecodable(*task);
    php_stream_close(stream);
    RETURN_THROWS();
  }
  task->payload().reset();
  array_init_size(return_value, 2);
  zval resource;
  php_stream_to_zval(stream, &resource);
  add_next_index_zval(return_value, &resource);
  add_next_index_zval(return_value, &payload);
}

ZEND_FUNCTION(frankenphp_worker_task_update) {
  zval* resource;
  zval* data;
  ZEND_PARSE_PARAMETERS_START(2, 2)
    Z_PARAM_ZVAL(resource)
    Z_PARAM_ARRAY(data)
  ZEND_PARSE_PARAMETERS_END();

  if (require_worker("frankenphp_worker_task_update") == nullptr) RETURN_THROWS();
  Task* const task = task_of_argument(1, resource, TaskSide::Worker);
  if (task == nullptr) RETURN_THROWS();
  Payload& payload = ApiThread::current().payload;
  if (!sapi::encode_payload(data, "$data", task->pool().options().max_payload, payload)) RETURN_THROWS();
  switch (send_update(*task, payload)) {
    case Task::UpdateResult::Sent: return;
    case Task::UpdateResult::Closed:
    case Task::UpdateResult::Draining:
    case Task::UpdateResult::Interrupted: zend_throw_exception(spl_ce_RuntimeException, "task closed", 0); RETURN_THROWS();
  }
}

ZEND_FUNCTION(frankenphp_worker_get_signaling_stream) {
  ZEND_PARSE_PARAMETERS_NONE();
  WorkerSlot* const slot = require_worker("frankenphp_worker_get_signaling_stream");
  if (slot == nullptr) RETURN_THROWS();
  ApiThread& state = ApiThread::current();
  // One that the script has closed is replaced.
  if (state.signal_stream != nullptr && state.signal_stream->type < 0) {
    zend_list_delete(std::exchange(state.signal_stream, nullptr));
  }
  if (state.signal_stream == nullptr) {
    php_stream* const stream = make_signal_stream(*slot);
    stream->__exposed = 1;
    state.signal_stream = stream->res;
  }
  GC_ADDREF(state.signal_stream);
  RETURN_RES(state.signal_stream);
}
