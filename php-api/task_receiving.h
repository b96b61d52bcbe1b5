// The worker's half of the task API, as far as functions and classes share it.
#pragma once

#include "php-api/api_thread.h"
#include "php-api/task_stream.h"
#include "sapi/zend.h"

namespace igor::api {

// Claims the next task, makes its stream and its payload's value. Null when there is none, or after
// throwing (LogicException: the payload names an enum that is unknown here; the task has then failed).
php_stream* receive_task(WorkerSlot& slot, zval* payload);

// Sends an update to the task's sender, waiting for a place. False after throwing.
bool send_update(Task& task, const zval* data);

// The signaling stream of the running script: the same each time, until the script closes it. Borrowed.
zval* signal_stream_of(WorkerSlot& slot);

}  // namespace igor::api
