#include "sapi/error_report.h"

#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "module/log.h"
#include "module/pool.h"
#include "module/text.h"
#include "module/worker_slot.h"
#include "sapi/cli.h"
#include "sapi/http_request.h"
#include "sapi/zend.h"

namespace igor::sapi {
namespace {

// The error that the engine is reporting right now on this thread. Plain pointers, because the report
// may end in a bailout.
struct ErrorInProgress {
  int type;
  std::string_view message;
  std::string_view file;
  uint32_t line;
};
thread_local const ErrorInProgress* error_in_progress = nullptr;

void (*engine_error_cb)(int, zend_string*, const uint32_t, zend_string*) = nullptr;

constexpr int kFatal = E_ERROR | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_PARSE | E_RECOVERABLE_ERROR;

int level_of(int type) {
  if (type & kFatal) return kLogError;
  if (type & (E_WARNING | E_CORE_WARNING | E_COMPILE_WARNING | E_USER_WARNING)) return kLogWarn;
  return kLogInfo;
}

const char* name_of(int type) {
  switch (type) {
    case E_ERROR:
    case E_CORE_ERROR:
    case E_COMPILE_ERROR:
    case E_USER_ERROR:
      return "Fatal error";
    case E_RECOVERABLE_ERROR:
      return "Recoverable fatal error";
    case E_PARSE:
      return "Parse error";
    case E_WARNING:
    case E_CORE_WARNING:
    case E_COMPILE_WARNING:
    case E_USER_WARNING:
      return "Warning";
    case E_NOTICE:
    case E_USER_NOTICE:
      return "Notice";
    case E_DEPRECATED:
    case E_USER_DEPRECATED:
      return "Deprecated";
    default:
      return "Error";
  }
}

std::string_view view(const zend_string* text) {
  return text ? std::string_view(ZSTR_VAL(text), ZSTR_LEN(text)) : std::string_view();
}

// What is known of the place where it was said.
void add_origin(LogRecord& record, PhpThread* thread) {
  if (!thread) return;
  if (thread->slot) record.fields.emplace_back("worker", thread->slot->options().name);
  record.fields.emplace_back("thread", thread->thread_label);
  if (thread->task_id != 0) record.fields.emplace_back("task", std::to_string(thread->task_id));
  if (thread->request) {
    record.fields.emplace_back("method", thread->request->method());
    record.fields.emplace_back("url", thread->request->request_uri());
  }
}

// "Maximum call stack size ..." comes as an Error, but is a limit that ends the script like the others.
Reason reason_of_exception(std::string_view message) {
  return message.substr(0, 27) == "Maximum call stack size of " ? Reason::FatalError : Reason::UncaughtException;
}

void keep_failure(PhpThread& thread, std::string_view message, std::string_view file, uint32_t line) {
  Failure failure;
  failure.exit_status = 255;
  if (message.substr(0, 9) == "Uncaught ") {
    // Scripts whose exceptions matter are run so that the exception itself is described first; this is
    // what is left for the others (thrown in a destructor, in a shutdown function).
    failure.reason = Reason::UncaughtException;
    message.remove_prefix(9);
    const size_t name_end = message.find_first_of(": ");
    if (name_end != std::string_view::npos) put_text(failure.class_name, {message.substr(0, name_end)}, {});
  } else if (message.substr(0, 23) == "Allowed memory size of " || message.substr(0, 14) == "Out of memory ") {
    failure.reason = Reason::MemoryLimit;
  } else {
    failure.reason = Reason::FatalError;
  }
  failure.explain({message});
  put_text(failure.file, {file}, {});
  failure.line = line;
  thread.record_failure(std::move(failure));
}

// In the place of the engine's own callback, which it calls: what that one hands to log_message() as a
// text is then still known in its parts. The engine's may bail out; the trampoline is there to forget
// the error in progress on that way too.
void report_error(int type, zend_string* file, const uint32_t line, zend_string* message) {
  const ErrorInProgress error{type & E_ALL, view(message), view(file), line};
  PhpThread* thread = PhpThread::current();
  if (thread && (error.type & kFatal)) keep_failure(*thread, error.message, error.file, error.line);

  // Before the engine displays the error, and headers with a status of 200 go first.
  if (thread && thread->http_worker && thread->request && (error.type & kFatal) && !SG(headers_sent) &&
      SG(sapi_headers).http_response_code < 400) {
    SG(sapi_headers).http_response_code = 500;
  }

  const ErrorInProgress* outer = error_in_progress;
  error_in_progress = &error;
  if (!thread) {
    engine_error_cb(type, file, line, message);
    error_in_progress = outer;
    return;
  }
  const bool returned = catch_bailout([&] { engine_error_cb(type, file, line, message); });
  error_in_progress = outer;
  if (!returned) zend_bailout();
}

// Reads a property that Exception or Error declares; as that class, because some are private to it. The
// name is one of the engine's own strings, so nothing is allocated and nothing can bail out.
zval* property(zend_object* object, zend_string* name, zval* storage) {
  zend_class_entry* base = instanceof_function(object->ce, zend_ce_exception) ? zend_ce_exception : zend_ce_error;
  zval* value = zend_read_property_ex(base, object, name, true, storage);
  ZVAL_DEREF(value);
  return value;
}

std::string property_text(zend_object* object, zend_string* name) {
  zval storage;
  const zval* value = property(object, name, &storage);
  return Z_TYPE_P(value) == IS_STRING ? std::string(view(Z_STR_P(value))) : std::string();
}

uint32_t property_line(zend_object* object) {
  zval storage;
  const zval* value = property(object, ZSTR_KNOWN(ZEND_STR_LINE), &storage);
  return Z_TYPE_P(value) == IS_LONG ? static_cast<uint32_t>(Z_LVAL_P(value)) : 0;
}

// A recursion that never ended leaves tens of thousands; the innermost ones tell.
constexpr unsigned kMostFrames = 200;

// As getTraceAsString() writes it, but without arguments: those may be large, and may be secret.
std::string trace_text(zend_object* object) {
  zval storage;
  zval* trace = property(object, ZSTR_KNOWN(ZEND_STR_TRACE), &storage);
  if (Z_TYPE_P(trace) != IS_ARRAY) return {};
  std::string text;
  unsigned number = 0;
  zval* frame;
  ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(trace), frame) {
    ZVAL_DEREF(frame);
    if (Z_TYPE_P(frame) != IS_ARRAY) continue;
    const auto part = [&](const char* key) -> std::string_view {
      zval* found = zend_hash_str_find(Z_ARRVAL_P(frame), key, std::strlen(key));
      return found && Z_TYPE_P(found) == IS_STRING ? view(Z_STR_P(found)) : std::string_view();
    };
    text += '#';
    text += std::to_string(number++);
    text += ' ';
    if (const std::string_view file = part("file"); !file.empty()) {
      text += file;
      zval* line = zend_hash_str_find(Z_ARRVAL_P(frame), ZEND_STRL("line"));
      text += '(';
      text += std::to_string(line && Z_TYPE_P(line) == IS_LONG ? Z_LVAL_P(line) : 0);
      text += "): ";
    } else {
      text += "[internal function]: ";
    }
    text += part("class");
    text += part("type");
    text += part("function");
    text += "()\n";
    if (number == kMostFrames) break;
  }
  ZEND_HASH_FOREACH_END();
  if (const uint32_t frames = zend_hash_num_elements(Z_ARRVAL_P(trace)); number < frames) {
    return text + "... " + std::to_string(frames - number) + " more";
  }
  text += '#';
  text += std::to_string(number);
  text += " {main}";
  return text;
}

// An uncaught exception's text has its whole trace in it.
constexpr size_t kLongestMessage = 64u << 10;

}  // namespace

void install_error_hooks() {
  engine_error_cb = zend_error_cb;
  zend_error_cb = report_error;
}

void remove_error_hooks() {
  if (engine_error_cb) zend_error_cb = engine_error_cb;
  engine_error_cb = nullptr;
}

void log_record(LogRecord record) noexcept {
  if (PhpThread::in_forked_child()) {
    // The queue's reader is not here.
    if (cli_mode()) return;
    iovec line[] = {{record.message.data(), record.message.size()}, {const_cast<char*>("\n"), 1}};
    static_cast<void>(!writev(STDERR_FILENO, line, 2));
    return;
  }
  LogQueue::global().push([&] {
    if (const size_t size = record.message.size(); size > kLongestMessage) {
      record.message.resize(kLongestMessage);
      record.message += "... (" + std::to_string(size - kLongestMessage) + " bytes more)";
    }
    return std::move(record);
  });
}

void log_message(const char* message, int syslog_level) {
  PhpThread* thread = PhpThread::current();
  log_record([&](LogRecord& record) {
    record.logger = thread ? "php" : "engine";
    if (const ErrorInProgress* error = error_in_progress) {
      record.level = level_of(error->type);
      record.message = name_of(error->type);
      record.message += ": ";
      record.message += error->message;
      add_origin(record, thread);
      record.fields.emplace_back("file", error->file);
      record.fields.emplace_back("line", std::to_string(error->line));
    } else {
      record.level = syslog_level <= LOG_ERR       ? kLogError
                     : syslog_level == LOG_WARNING ? kLogWarn
                     : syslog_level == LOG_DEBUG   ? kLogDebug
                                                   : kLogInfo;
      record.message = message;
      add_origin(record, thread);
    }
  });
}

void log_script_output(PhpThread& thread, std::string_view line) noexcept {
  log_record([&](LogRecord& record) {
    record.logger = "php";
    record.message = line;
    add_origin(record, &thread);
    record.fields.emplace_back("stream", "output");
  });
}

void log_script_unreadable(const char* path, int error) noexcept {
  log_record([&](LogRecord& record) {
    record.level = kLogError;
    record.logger = "php";
    record.message = "cannot open the script ";
    record.message += path;
    record.message += ": ";
    record.message += std::strerror(error);
    add_origin(record, PhpThread::current());
  });
}

void log_host_problem(PhpThread* thread, std::string_view message) noexcept {
  log_record([&](LogRecord& record) {
    record.level = kLogError;
    record.logger = "engine";
    record.message = message;
    add_origin(record, thread);
  });
}

// The parts that find no memory are left out.
Failure describe_exception(zend_object* exception) noexcept {
  Failure failure;
  failure.reason = Reason::UncaughtException;
  failure.exit_status = 255;
  failure.line = property_line(exception);
  try {
    failure.class_name = view(exception->ce->name);
    failure.message = property_text(exception, ZSTR_KNOWN(ZEND_STR_MESSAGE));
    failure.reason = reason_of_exception(failure.message);
    failure.file = property_text(exception, ZSTR_KNOWN(ZEND_STR_FILE));
    failure.trace = trace_text(exception);
  } catch (const std::bad_alloc&) {
  }
  return failure;
}

}  // namespace igor::sapi
