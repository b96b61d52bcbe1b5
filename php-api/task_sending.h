// The sender's half of the task API, as far as functions and classes share it.
#pragma once

#include <string_view>

#include "module/clock.h"
#include "php-api/api_thread.h"
#include "sapi/zend.h"

namespace igor::api {

// A wait in seconds as a PHP float. False after throwing ValueError when it is negative, NaN or infinite.
bool deadline_of_argument(uint32_t argument, double seconds, TimePoint& deadline);

// Why a pool did not do what it was asked for. Plain data, so that it may be alive while the engine throws.
struct SendReport {
  explicit SendReport(Pool::SendResult what) noexcept : result(what) { detail[0] = '\0'; }
  void say(std::string_view text) noexcept { detail[text.copy(detail, sizeof detail - 1)] = '\0'; }

  Pool::SendResult result;
  int failures = 0;
  char detail[256];  // to its end, and not beyond
};

// False after throwing ValueError for argument 1.
bool valid_worker_name(const zend_string* name);

// Finds the pool that the name means for what runs on the thread now, and keeps it in state.pool. False after
// throwing RuntimeException.
bool find_pool(ApiThread& state, const sapi::PhpThread& thread, zend_string* name);

// Throws what the report says; nothing for Accepted. The failure must outlive a bailout.
void throw_refusal(const SendReport& report, const zend_string* name, const Failure& failure);

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
