#include "php-api/task_failed.h"

#include <zend_enum.h>
#include <ext/spl/spl_exceptions.h>

#include "module/worker_slot.h"
#include "sapi/error_report.h"
#include "sapi/php_thread.h"

namespace igor::api {

zend_class_entry* reason_class;
zend_class_entry* task_failed_class;
zend_class_entry* overflow_class;

namespace {

void set_string(zend_object* object, const char* name, size_t length, const std::string& value) {
  if (!value.empty()) zend_update_property_stringl(task_failed_class, object, name, length, value.data(), value.size());
}

// "UncaughtException: DomainException: no such picture in /app/worker.php on line 12"
zend_string* describe(const Failure& failure) {
  const std::string_view reason = reason_name(failure.reason);
  if (failure.message.empty()) {
    return failure.reason == Reason::Exited
               ? zend_strpprintf(0, "%s: exit status %d", reason.data(), failure.exit_status)
               : zend_string_init(reason.data(), reason.size(), false);
  }
  const char* const separator = failure.class_name.empty() ? "" : ": ";
  if (failure.line == 0) {  // nowhere, or the file as a whole, which the message names
    return zend_strpprintf(0, "%s: %s%s%s", reason.data(), failure.class_name.c_str(), separator,
                           failure.message.c_str());
  }
  return zend_strpprintf(0, "%s: %s%s%s in %s on line %u", reason.data(), failure.class_name.c_str(), separator,
                         failure.message.c_str(), failure.file.c_str(), failure.line);
}

zend_object* make_task_failed(const Failure& failure) {
  zval exception;
  object_init_ex(&exception, task_failed_class);
  zend_object* const object = Z_OBJ(exception);

  zval message;
  ZVAL_STR(&message, describe(failure));
  zend_update_property_ex(zend_ce_exception, object, ZSTR_KNOWN(ZEND_STR_MESSAGE), &message);
  zval_ptr_dtor(&message);

  zval reason;
  ZVAL_OBJ_COPY(&reason, zend_enum_get_case_cstr(reason_class, reason_name(failure.reason).data()));
  zend_update_property(task_failed_class, object, ZEND_STRL("reason"), &reason);
  zval_ptr_dtor(&reason);

  zend_update_property_long(task_failed_class, object, ZEND_STRL("exitStatus"), failure.exit_status);
  set_string(object, ZEND_STRL("errorClass"), failure.class_name);
  set_string(object, ZEND_STRL("errorMessage"), failure.message);
  set_string(object, ZEND_STRL("errorFile"), failure.file);
  set_string(object, ZEND_STRL("errorTrace"), failure.trace);
  if (!failure.file.empty()) zend_update_property_long(task_failed_class, object, ZEND_STRL("errorLine"), failure.line);
  return object;
}

}  // namespace

void throw_failed(const char* message, const Failure& failure) {
  zend_object* const previous = make_task_failed(failure);
  zend_object* const outer = zend_throw_exception(spl_ce_RuntimeException, message, 0);
  // Takes over the reference to `previous`.
  zend_exception_set_previous(outer, previous);
}

void throw_task_failed(const Failure& failure) {
  zval exception;
  ZVAL_OBJ(&exception, make_task_failed(failure));
  zend_throw_exception_object(&exception);
}

Failure failure_in_flight() {
  Failure failure;
  zend_object* const exception = EG(exception);
  if (exception == nullptr) {
    failure.reason = Reason::Abandoned;
    failure.explain({"the worker let go of the task's stream without fclose()"});
  } else if (zend_is_unwind_exit(exception)) {
    failure.reason = Reason::Exited;
    failure.exit_status = EG(exit_status);
    failure.explain({"the script ended with exit status ", std::to_string(failure.exit_status)});
  } else if (zend_is_graceful_exit(exception)) {
    // What a suspended Fiber sees when nobody holds it any more; whatever else goes on is put aside meanwhile.
    failure.reason = Reason::Abandoned;
    failure.explain({"the worker let go of the Fiber that held the task's stream"});
  } else {
    failure = sapi::describe_exception(exception);
  }
  const sapi::PhpThread* const thread = sapi::PhpThread::current();
  if ((failure.reason == Reason::Exited || failure.reason == Reason::Abandoned) && thread != nullptr &&
      (thread->interrupted() || (thread->slot != nullptr && thread->slot->stopping()))) {
    failure.reason = Reason::Shutdown;
    failure.explain({thread->interrupted() ? "the script was stopped because it did not end by itself in time"
                                           : "the worker was told to stop, and let go of the task"});
  }
  return failure;
}

}  // namespace igor::api

// --- Igor\TaskFailed ---------------------------------------------------------------------------------

namespace {

void return_property(zend_execute_data* execute_data, zval* return_value, const char* name, size_t length) {
  ZEND_PARSE_PARAMETERS_NONE();
  zval scratch;
  zval* const value =
      zend_read_property(igor::api::task_failed_class, Z_OBJ_P(ZEND_THIS), name, length, true, &scratch);
  RETURN_COPY_DEREF(value);
}

}  // namespace

ZEND_METHOD(Igor_TaskFailed, getReason) {
  return_property(execute_data, return_value, ZEND_STRL("reason"));
  if (Z_TYPE_P(return_value) == IS_OBJECT || EG(exception)) return;
  // Not made by the server: by a test's "new", say.
  RETURN_OBJ_COPY(zend_enum_get_case_cstr(igor::api::reason_class, "Abandoned"));
}
ZEND_METHOD(Igor_TaskFailed, getExitStatus) {
  return_property(execute_data, return_value, ZEND_STRL("exitStatus"));
}
ZEND_METHOD(Igor_TaskFailed, getErrorClass) {
  return_property(execute_data, return_value, ZEND_STRL("errorClass"));
}
ZEND_METHOD(Igor_TaskFailed, getErrorMessage) {
  return_property(execute_data, return_value, ZEND_STRL("errorMessage"));
}
ZEND_METHOD(Igor_TaskFailed, getErrorFile) {
  return_property(execute_data, return_value, ZEND_STRL("errorFile"));
}
ZEND_METHOD(Igor_TaskFailed, getErrorLine) {
  return_property(execute_data, return_value, ZEND_STRL("errorLine"));
}
ZEND_METHOD(Igor_TaskFailed, getErrorTrace) {
  return_property(execute_data, return_value, ZEND_STRL("errorTrace"));
}
