// frankenphp_worker_task_*() and frankenphp_worker_get_signaling_stream(), as igor.stub.php describes them.
#include <ext/spl/spl_exceptions.h>

#include "module/worker_slot.h"
#include "php-api/task_failed.h"
#include "php-api/task_receiving.h"
#include "php-api/task_sending.h"
#include "php-api/task_stream.h"
#include "sapi/payload_codec.h"

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

ZEND_FUNCTION(frankenphp_worker_task_read) {
  zval* resource;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_ZVAL(resource)
  ZEND_PARSE_PARAMETERS_END();

  php_stream* stream;
  Task* const task = task_of_argument(1, resource, TaskSide::Sender, &stream);
  if (task == nullptr) RETURN_THROWS();
  switch (read_update(stream, *task)) {
    case Task::ReadResult::Update:
      if (!sapi::consume_payload(payload_in_hand(stream), return_value)) ZVAL_NULL(return_value);
      return;
    case Task::ReadResult::Completed:
      RETURN_NULL();
    case Task::ReadResult::Failed:
      throw_failed(kAborted, task->failure());
      RETURN_THROWS();
    case Task::ReadResult::TimedOut:  // only with a deadline
    case Task::ReadResult::Interrupted:
      throw_interrupted();
      RETURN_THROWS();
  }
}

ZEND_FUNCTION(frankenphp_worker_task_receive) {
  ZEND_PARSE_PARAMETERS_NONE();
  WorkerSlot* const slot = require_worker("frankenphp_worker_task_receive");
  if (slot == nullptr) RETURN_THROWS();
  zval payload;
  php_stream* const stream = receive_task(*slot, &payload);
  if (EG(exception)) RETURN_THROWS();
  if (stream == nullptr) RETURN_NULL();
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
  send_update(*task, data);
}

ZEND_FUNCTION(frankenphp_worker_get_signaling_stream) {
  ZEND_PARSE_PARAMETERS_NONE();
  WorkerSlot* const slot = require_worker("frankenphp_worker_get_signaling_stream");
  if (slot == nullptr) RETURN_THROWS();
  RETURN_COPY(signal_stream_of(*slot));
}
