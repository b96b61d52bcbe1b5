#include "php-api/worker_objects.h"

#include "module/activity.h"
#include "module/worker_slot.h"
#include "php-api/stream_object.h"
#include "php-api/task_failed.h"
#include "php-api/task_receiving.h"
#include "php-api/task_sending.h"
#include "sapi/error_report.h"
#include "sapi/payload_codec.h"

namespace igor::api {
namespace {

zend_class_entry* inbox_class;
zend_class_entry* job_class;
zend_object_handlers inbox_handlers;

// Waits without entering the engine; the caller claims at once.
WorkerSlot::Signal wait_signal(WorkerSlot& slot, TimePoint deadline) {
  slot.memory_held(zend_memory_usage(false));
  return slot.wait_signal(deadline, &sapi::PhpThread::current()->interrupt, true);
}

// The job's task while it can still be ended; null when its stream is closed.
Task* open_task(zend_object* job, php_stream** stream) {
  *stream = open_stream(job);
  return *stream == nullptr ? nullptr : task_of_stream(*stream);
}

bool complete(Task& task, Payload& value) {
  return task.complete(std::move(value));
}

void fail_with(Task& task, zend_object* exception, const zend_string* message) {
  Failure failure;
  if (exception != nullptr) {
    failure = sapi::describe_exception(exception);
    failure.reason = Reason::UncaughtException;
    failure.exit_status = 0;  // the script goes on
  } else {
    failure.reason = Reason::Abandoned;
    failure.explain({{ZSTR_VAL(message), ZSTR_LEN(message)}});
  }
  task.fail(std::move(failure));
}

}  // namespace

void start_worker_classes(zend_class_entry* inbox, zend_class_entry* job) {
  inbox_class = inbox;
  job_class = job;
  inbox_handlers = std_object_handlers;
  inbox_handlers.clone_obj = nullptr;
  inbox_handlers.get_constructor = refuse_construction;
  inbox->default_object_handlers = &inbox_handlers;
  start_stream_class(job);
}

}  // namespace igor::api

using namespace igor;
using namespace igor::api;

ZEND_METHOD(Igor_Worker, current) {
  ZEND_PARSE_PARAMETERS_NONE();
  if (require_worker("Igor\\Worker::current") == nullptr) RETURN_THROWS();
  object_init_ex(return_value, inbox_class);
}

ZEND_METHOD(Igor_Inbox, receive) {
  double timeout = 0;
  bool for_ever = true;
  ZEND_PARSE_PARAMETERS_START(0, 1)
  Z_PARAM_OPTIONAL
  Z_PARAM_DOUBLE_OR_NULL(timeout, for_ever)
  ZEND_PARSE_PARAMETERS_END();

  WorkerSlot* const slot = require_worker("Igor\\Inbox::receive");
  TimePoint deadline = kNever;
  if (slot == nullptr || (!for_ever && !deadline_of_argument(1, timeout, deadline))) RETURN_THROWS();
  // A task that was signalled may be cancelled before it is claimed: then the wait goes on.
  while (wait_signal(*slot, deadline) == WorkerSlot::Signal::Task) {
    zval payload;
    php_stream* const stream = receive_task(*slot, &payload);
    if (EG(exception)) RETURN_THROWS();
    if (stream == nullptr) continue;
    make_stream_object(return_value, job_class, stream);
    // The class is final and has this one property: its place is the first.
    ZVAL_COPY_VALUE(OBJ_PROP_NUM(Z_OBJ_P(return_value), 0), &payload);
    return;
  }
  RETURN_NULL();
}

ZEND_METHOD(Igor_Inbox, isStopping) {
  ZEND_PARSE_PARAMETERS_NONE();
  WorkerSlot* const slot = require_worker("Igor\\Inbox::isStopping");
  if (slot == nullptr) RETURN_THROWS();
  RETURN_BOOL(slot->stopping());
}

ZEND_METHOD(Igor_Inbox, stream) {
  ZEND_PARSE_PARAMETERS_NONE();
  WorkerSlot* const slot = require_worker("Igor\\Inbox::stream");
  if (slot == nullptr) RETURN_THROWS();
  RETURN_COPY(signal_stream_of(*slot));
}

ZEND_METHOD(Igor_Job, update) {
  zval* data;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_ARRAY(data)
  ZEND_PARSE_PARAMETERS_END();
  php_stream* stream;
  Task* const task = task_of_object(Z_OBJ_P(ZEND_THIS), &stream);
  if (task == nullptr) RETURN_THROWS();
  send_update(*task, data);
}

ZEND_METHOD(Igor_Job, complete) {
  zval* value = nullptr;
  ZEND_PARSE_PARAMETERS_START(0, 1)
  Z_PARAM_OPTIONAL
  Z_PARAM_ZVAL(value)
  ZEND_PARSE_PARAMETERS_END();
  php_stream* stream;
  Task* const task = open_task(Z_OBJ_P(ZEND_THIS), &stream);
  if (task == nullptr) return;
  Payload& payload = ApiThread::current().payload;
  payload.reset();
  if (value != nullptr && Z_TYPE_P(value) != IS_NULL &&
      !sapi::encode_payload(value, "$value", task->pool().options().max_payload, payload,
                            sapi::PayloadReceiver::of(*task))) {
    RETURN_THROWS();
  }
  complete(*task, payload);
  close_stream(stream);
}

ZEND_METHOD(Igor_Job, fail) {
  zend_string* message;
  zend_object* exception;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_OBJ_OF_CLASS_OR_STR(exception, zend_ce_throwable, message)
  ZEND_PARSE_PARAMETERS_END();
  php_stream* stream;
  Task* const task = open_task(Z_OBJ_P(ZEND_THIS), &stream);
  if (task == nullptr) return;
  fail_with(*task, exception, message);
  close_stream(stream);
}

ZEND_METHOD(Igor_Job, isCancelled) {
  ZEND_PARSE_PARAMETERS_NONE();
  php_stream* const stream = open_stream(Z_OBJ_P(ZEND_THIS));
  RETURN_BOOL(stream != nullptr && task_of_stream(stream)->closed());
}

ZEND_METHOD(Igor_Job, stream) {
  ZEND_PARSE_PARAMETERS_NONE();
  RETURN_COPY(&StreamObject::of(Z_OBJ_P(ZEND_THIS)).stream);
}
