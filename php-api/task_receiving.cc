#include "php-api/task_receiving.h"

#include <ext/spl/spl_exceptions.h>

#include "module/activity.h"
#include "module/worker_slot.h"
#include "php-api/signal_stream.h"
#include "php-api/task_failed.h"
#include "sapi/payload_codec.h"

namespace igor::api {
namespace {

// The slot's list of running tasks keeps the task alive, so the engine may bail out on the way.
Task* claim(WorkerSlot& slot) {
  slot.memory_held(zend_memory_usage(false));
  return slot.claim().get();
}

void attach(php_stream* stream, Task* task, WorkerSlot* slot) {
  attach_task(stream, Ref<Task>(task), slot);
}

Task::UpdateResult update(Task& task, Payload& payload) {
  activity::idle_end();
  return task.update(std::move(payload), &sapi::PhpThread::current()->interrupt);
}

}  // namespace

php_stream* receive_task(WorkerSlot& slot, zval* payload) {
  Task* const task = claim(slot);
  if (task == nullptr) return nullptr;
  sapi::PhpThread::current()->task_id = task->id();
  php_stream* const stream = make_task_stream(TaskSide::Worker);
  attach(stream, task, &slot);
  // An autoloader can find the stream (get_resources) and close it.
  zend_resource* const resource = stream->res;
  GC_ADDREF(resource);
  bool whole = sapi::consume_payload(task->payload(), payload);
  if (whole && resource->type < 0) {
    zval_ptr_dtor(payload);
    zend_throw_exception(spl_ce_RuntimeException, "task closed", 0);
    whole = false;
  }
  zend_list_delete(resource);
  if (whole) return stream;
  // A worker can't work on a payload that it does not understand: the task fails with what was thrown.
  zend_list_delete(resource);
  return nullptr;
}

bool send_update(Task& task, const zval* data) {
  Payload& payload = ApiThread::current().payload;
  const auto sender = sapi::PayloadReceiver::of(task);
  if (!sapi::encode_payload(data, "$data", task.pool().options().max_payload, payload, sender)) return false;
  switch (update(task, payload)) {
    case Task::UpdateResult::Sent:
      return true;
    case Task::UpdateResult::Closed:
    case Task::UpdateResult::Draining:
    case Task::UpdateResult::Interrupted:
      break;
  }
  zend_throw_exception(spl_ce_RuntimeException, "task closed", 0);
  return false;
}

zval* signal_stream_of(WorkerSlot& slot) {
  ApiThread& state = ApiThread::current();
  if (Z_TYPE(state.signal_stream) == IS_RESOURCE && Z_RES(state.signal_stream)->type < 0) {
    zval_ptr_dtor(&state.signal_stream);
    ZVAL_UNDEF(&state.signal_stream);
  }
  if (Z_TYPE(state.signal_stream) == IS_UNDEF) {
    php_stream* const stream = make_signal_stream(slot);
    php_stream_to_zval(stream, &state.signal_stream);
  }
  return &state.signal_stream;
}

}  // namespace igor::api
