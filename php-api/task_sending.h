// The sender's half of the task API, as far as functions and classes share it.
#pragma once

#include "module/clock.h"
#include "php-api/api_thread.h"
#include "sapi/zend.h"

namespace igor::api {

// A wait in seconds as a PHP float. False after throwing ValueError when it is negative, NaN or infinite.
bool deadline_of_argument(uint32_t argument, double seconds, TimePoint& deadline);

// Finds the worker, sends the payload and makes the sender's stream. Null after throwing.
php_stream* send_task(const char* function, zend_string* name, const zval* payload, TimePoint deadline);

}  // namespace igor::api
