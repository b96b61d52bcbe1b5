// The exceptions of the task API: Igor\TaskFailed, Igor\Overflow and the RuntimeException around them.
//
// A Failure is text of the worker's side; here it becomes objects of the sender's. Threads: PHP threads.
// All functions enter the engine and may bail out: a Failure passed in must be owned by something that
// outlives that.
#pragma once

#include "module/failure.h"
#include "sapi/zend.h"

namespace igor::api {

extern zend_class_entry* reason_class;
extern zend_class_entry* task_failed_class;
extern zend_class_entry* overflow_class;

inline constexpr const char* kAborted = "background worker exited without completing the task";

// Throws RuntimeException(message) with Igor\TaskFailed as its previous exception.
void throw_failed(const char* message, const Failure& failure);

// Throws Igor\TaskFailed itself: what the classes do.
void throw_task_failed(const Failure& failure);

// How the code that holds a task is ending, judged by the exception in flight: an exception, exit(), or
// nothing at all (the task was just let go).
Failure failure_in_flight();

}  // namespace igor::api
