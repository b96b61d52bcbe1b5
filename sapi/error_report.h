// Everything that scripts and the engine have to say, as records of the log queue: errors, uncaught
// exceptions, error_log(), output of scripts that have no client.
//
// The engine decides what is reported (error_reporting, log_errors, error_log, ignore_repeated_errors);
// this only takes the message apart where the engine would have made one text of it. So a php.ini that
// sends errors to a file or to syslog still does.
//
// Errors that end a script are also kept with the thread (PhpThread::record_failure), so that the tasks
// which it held can fail with the reason.
//
// Threads: any that runs PHP, and those that start and stop the engine. No locks but the queue's own.
#pragma once

#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "module/failure.h"
#include "module/log.h"
#include "sapi/php_thread.h"

struct _zend_object;

namespace igor::sapi {

// Puts these reports in the engine's place for errors; once per start of the engine.
void install_error_hooks();
void remove_error_hooks();

// The engine's callback for a line of its own log.
void log_message(const char* message, int syslog_level);

// Into the process's log; what a server's forked child has to say goes to standard error, since
// nobody there reads the log.
void log_record(LogRecord record) noexcept;
// The same for one that `fill` fills in. One that finds no memory for that is counted as dropped.
template <typename Fill>
  requires std::is_invocable_v<Fill, LogRecord&>
void log_record(Fill&& fill) noexcept {
  try {
    LogRecord record;
    fill(record);
    log_record(std::move(record));
  } catch (const std::bad_alloc&) {
    LogQueue::global().count_dropped();
  }
}

// A line that a script printed and nobody else reads.
void log_script_output(PhpThread& thread, std::string_view line) noexcept;
// The script file is missing or may not be read (an errno).
void log_script_unreadable(const char* path, int error) noexcept;
// Something about the host itself; `thread` may be null.
void log_host_problem(PhpThread* thread, std::string_view message) noexcept;

// Class, message, file, line and trace of a Throwable, from its properties. Enters the engine, but does
// not run user code.
Failure describe_exception(_zend_object* exception) noexcept;

}  // namespace igor::sapi
