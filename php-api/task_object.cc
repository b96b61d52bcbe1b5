#include "php-api/task_object.h"

#include <zend_enum.h>

#include <cmath>

#include "php-api/stream_object.h"
#include "php-api/task_failed.h"
#include "php-api/task_sending.h"
#include "sapi/payload_codec.h"

namespace igor::api {

zend_class_entry* task_class;

namespace {

zend_class_entry* state_class;

// The next update into `value`. False at the end and after throwing.
bool read_into(zend_object* object, zval* value) {
  php_stream* stream;
  Task* const task = task_of_object(object, &stream);
  if (task == nullptr) return false;
  switch (read_update(stream, *task)) {
    case Task::ReadResult::Update:
      return sapi::consume_payload(payload_in_hand(stream), value);
    case Task::ReadResult::Completed:
      return false;
    case Task::ReadResult::Failed:
      throw_task_failed(task->failure());
      return false;
    case Task::ReadResult::TimedOut:
    case Task::ReadResult::Interrupted:
      break;
  }
  throw_interrupted();
  return false;
}

// --- iteration: over the updates, once --------------------------------------------------------------

struct Iterator {
  zend_object_iterator base;
  zval current;
  zend_ulong index;
  bool begun;
};

Iterator& self(zend_object_iterator* base) {
  return *reinterpret_cast<Iterator*>(base);
}

void advance(zend_object_iterator* base) {
  zval_ptr_dtor(&self(base).current);
  ZVAL_UNDEF(&self(base).current);
  if (!read_into(Z_OBJ(base->data), &self(base).current)) ZVAL_UNDEF(&self(base).current);
}

void iterator_dtor(zend_object_iterator* base) {
  zval_ptr_dtor(&self(base).current);
  zval_ptr_dtor(&base->data);
}
zend_result iterator_valid(zend_object_iterator* base) {
  return Z_ISUNDEF(self(base).current) ? FAILURE : SUCCESS;
}
zval* iterator_current(zend_object_iterator* base) {
  return &self(base).current;
}
void iterator_key(zend_object_iterator* base, zval* key) {
  ZVAL_LONG(key, static_cast<zend_long>(self(base).index));
}
void iterator_next(zend_object_iterator* base) {
  ++self(base).index;
  advance(base);
}
void iterator_rewind(zend_object_iterator* base) {
  // Updates come once: what was read is not read again.
  if (std::exchange(self(base).begun, true)) return;
  advance(base);
}

const zend_object_iterator_funcs iterator_functions = {
    iterator_dtor, iterator_valid, iterator_current, iterator_key, iterator_next, iterator_rewind, nullptr, nullptr,
};

zend_object_iterator* get_iterator(zend_class_entry*, zval* object, int by_reference) {
  if (by_reference) {
    zend_throw_error(nullptr, "An iterator cannot be used with foreach by reference");
    return nullptr;
  }
  auto* const iterator = static_cast<Iterator*>(emalloc(sizeof(Iterator)));
  zend_iterator_init(&iterator->base);
  ZVAL_OBJ_COPY(&iterator->base.data, Z_OBJ_P(object));
  iterator->base.funcs = &iterator_functions;
  ZVAL_UNDEF(&iterator->current);
  iterator->index = 0;
  iterator->begun = false;
  return &iterator->base;
}

const char* state_name(TaskState state) {
  switch (state) {
    case TaskState::Pending:
      return "Pending";
    case TaskState::Running:
      return "Running";
    case TaskState::Completed:
      return "Completed";
    case TaskState::Failed:
      return "Failed";
    case TaskState::Cancelled:
      return "Cancelled";
    case TaskState::TimedOut:
      return "TimedOut";
  }
  return "Failed";
}

}  // namespace

void start_task_class(zend_class_entry* task, zend_class_entry* task_state) {
  task_class = task;
  state_class = task_state;
  start_stream_class(task);
  task->get_iterator = get_iterator;
}

}  // namespace igor::api

using namespace igor;
using namespace igor::api;

ZEND_METHOD(Igor_Worker, send) {
  zend_string* name;
  zval* payload;
  double timeout = 30.0, deadline = 0;
  bool default_timeout = true, no_deadline = true;
  ZEND_PARSE_PARAMETERS_START(2, 4)
  Z_PARAM_STR(name)
  Z_PARAM_ARRAY(payload)
  Z_PARAM_OPTIONAL
  Z_PARAM_DOUBLE_OR_NULL(timeout, default_timeout)
  Z_PARAM_DOUBLE_OR_NULL(deadline, no_deadline)
  ZEND_PARSE_PARAMETERS_END();

  TimePoint accepted_by;
  if (!deadline_of_argument(3, default_timeout ? 30.0 : timeout, accepted_by)) RETURN_THROWS();
  if (!no_deadline && (!std::isfinite(deadline) || deadline <= 0)) {
    zend_argument_value_error(4, "must be a finite number of seconds above 0, or null");
    RETURN_THROWS();
  }
  const Duration task_timeout =
      no_deadline ? Duration{} : Duration(static_cast<Duration::rep>(std::fmin(deadline, 1e9) * 1e9));
  php_stream* const stream = send_task("Igor\\Worker::send", name, payload, accepted_by, task_timeout);
  if (stream == nullptr) RETURN_THROWS();
  make_stream_object(return_value, task_class, stream);
}

ZEND_METHOD(Igor_Task, read) {
  ZEND_PARSE_PARAMETERS_NONE();
  if (!read_into(Z_OBJ_P(ZEND_THIS), return_value)) ZVAL_NULL(return_value);
}

ZEND_METHOD(Igor_Task, await) {
  ZEND_PARSE_PARAMETERS_NONE();
  php_stream* stream;
  Task* const task = task_of_object(Z_OBJ_P(ZEND_THIS), &stream);
  if (task == nullptr) RETURN_THROWS();
  Task::ReadResult result;
  do {
    result = read_update(stream, *task);
    payload_in_hand(stream).reset();
  } while (result == Task::ReadResult::Update);
  if (result == Task::ReadResult::Failed) {
    throw_task_failed(task->failure());
  } else if (result != Task::ReadResult::Completed) {
    throw_interrupted();
  } else if (!decode_result(*task, return_value)) {
    ZVAL_NULL(return_value);
  }
}

ZEND_METHOD(Igor_Task, cancel) {
  ZEND_PARSE_PARAMETERS_NONE();
  if (php_stream* const stream = open_stream(Z_OBJ_P(ZEND_THIS))) task_of_stream(stream)->cancel();
}

ZEND_METHOD(Igor_Task, stream) {
  ZEND_PARSE_PARAMETERS_NONE();
  RETURN_COPY(&StreamObject::of(Z_OBJ_P(ZEND_THIS)).stream);
}

ZEND_METHOD(Igor_Task, state) {
  ZEND_PARSE_PARAMETERS_NONE();
  // Closing the stream cancels what had not ended; of a task that had, nobody can tell any more.
  php_stream* const stream = open_stream(Z_OBJ_P(ZEND_THIS));
  const TaskState state = stream == nullptr ? TaskState::Cancelled : task_of_stream(stream)->state();
  RETURN_OBJ_COPY(zend_enum_get_case_cstr(state_class, state_name(state)));
}

ZEND_METHOD(Igor_Task, getIterator) {
  ZEND_PARSE_PARAMETERS_NONE();
  zend_create_internal_iterator_zval(return_value, ZEND_THIS);
}
