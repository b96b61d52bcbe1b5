// The sender's half of the task API, as far as functions and classes share it.
#pragma once

#include "module/clock.h"
#include "php-api/api_thread.h"
#include "sapi/zend.h"

namespace igor::api {

// A wait in seconds as a PHP float. False after throwing ValueError when it is negative, NaN or infinite.
bool deadline_of_argument(uint32_t argument, double seconds, TimePoint& deadline);

// Finds the worker, sends the payload and makes the sender's stream. Null after throwing.
// `task_timeout` zero: as the pool is configured.
php_stream* send_task(const char* function, zend_string* name, const zval* payload, TimePoint deadline,
                      Duration task_timeout = {});

// Waits for the next update without entering the engine; it is then in payload_in_hand(stream).
Task::ReadResult read_update(php_stream* stream, Task& task, TimePoint deadline = kNever);

// The value that a completed task was given, null when none. False after throwing.
bool decode_result(Task& task, zval* value);

// Says that the engine is about to end this script, where a wait was cut short for that.
void throw_interrupted();

}  // namespace igor::api
