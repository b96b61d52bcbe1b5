/* This is a generated file, edit the .stub.php file instead.
 * Stub hash: bc51af001de979c2bcd1d7dd484e493c6d662401 */

ZEND_BEGIN_ARG_INFO_EX(arginfo_frankenphp_worker_task_send, 0, 0, 2)
	ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO(0, payload, IS_ARRAY, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeout, IS_DOUBLE, 0, "30.0")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_worker_task_read, 0, 1, IS_ARRAY, 1)
	ZEND_ARG_INFO(0, stream)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_worker_task_receive, 0, 0, IS_ARRAY, 1)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_worker_task_update, 0, 2, IS_VOID, 0)
	ZEND_ARG_INFO(0, stream)
	ZEND_ARG_TYPE_INFO(0, data, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_INFO_EX(arginfo_frankenphp_worker_get_signaling_stream, 0, 0, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_worker_set_vars, 0, 1, IS_VOID, 0)
	ZEND_ARG_TYPE_INFO(0, vars, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_worker_get_vars, 0, 1, IS_ARRAY, 0)
	ZEND_ARG_TYPE_MASK(0, name, MAY_BE_STRING|MAY_BE_ARRAY, NULL)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeout, IS_DOUBLE, 0, "30.0")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_handle_request, 0, 1, _IS_BOOL, 0)
	ZEND_ARG_TYPE_INFO(0, callback, IS_CALLABLE, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_finish_request, 0, 0, _IS_BOOL, 0)
ZEND_END_ARG_INFO()

#define arginfo_fastcgi_finish_request arginfo_frankenphp_finish_request

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_request_headers, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

#define arginfo_apache_request_headers arginfo_frankenphp_request_headers

#define arginfo_getallheaders arginfo_frankenphp_request_headers

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_MASK_EX(arginfo_frankenphp_response_headers, 0, 0, MAY_BE_ARRAY|MAY_BE_BOOL)
ZEND_END_ARG_INFO()

#define arginfo_apache_response_headers arginfo_frankenphp_response_headers

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_headers_send, 0, 0, IS_LONG, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, status, IS_LONG, 0, "200")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_frankenphp_log, 0, 1, IS_VOID, 0)
	ZEND_ARG_TYPE_INFO(0, message, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, level, IS_LONG, 0, "FRANKENPHP_LOG_LEVEL_INFO")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, context, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Igor_TaskFailed_getReason, 0, 0, Igor\\Reason, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_TaskFailed_getExitStatus, 0, 0, IS_LONG, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_TaskFailed_getErrorClass, 0, 0, IS_STRING, 1)
ZEND_END_ARG_INFO()

#define arginfo_class_Igor_TaskFailed_getErrorMessage arginfo_class_Igor_TaskFailed_getErrorClass

#define arginfo_class_Igor_TaskFailed_getErrorFile arginfo_class_Igor_TaskFailed_getErrorClass

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_TaskFailed_getErrorLine, 0, 0, IS_LONG, 1)
ZEND_END_ARG_INFO()

#define arginfo_class_Igor_TaskFailed_getErrorTrace arginfo_class_Igor_TaskFailed_getErrorClass

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Igor_Worker_send, 0, 2, Igor\\Task, 0)
	ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 0)
	ZEND_ARG_TYPE_INFO(0, payload, IS_ARRAY, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeout, IS_DOUBLE, 1, "null")
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, deadline, IS_DOUBLE, 1, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Igor_Worker_current, 0, 0, Igor\\Inbox, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Igor_Task_read arginfo_frankenphp_worker_task_receive

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_Task_await, 0, 0, IS_MIXED, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_Task_cancel, 0, 0, IS_VOID, 0)
ZEND_END_ARG_INFO()

#define arginfo_class_Igor_Task_stream arginfo_frankenphp_worker_get_signaling_stream

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Igor_Task_state, 0, 0, Igor\\TaskState, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Igor_Task_getIterator, 0, 0, Iterator, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_Task_all, 0, 1, IS_ARRAY, 0)
	ZEND_ARG_OBJ_TYPE_MASK(0, tasks, Traversable, MAY_BE_ARRAY, NULL)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_Task_any, 0, 1, IS_MIXED, 0)
	ZEND_ARG_OBJ_TYPE_MASK(0, tasks, Traversable, MAY_BE_ARRAY, NULL)
ZEND_END_ARG_INFO()

#define arginfo_class_Igor_Task_race arginfo_class_Igor_Task_any

ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(arginfo_class_Igor_Inbox_receive, 0, 0, Igor\\Job, 1)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, timeout, IS_DOUBLE, 1, "null")
ZEND_END_ARG_INFO()

#define arginfo_class_Igor_Inbox_publish arginfo_frankenphp_worker_set_vars

#define arginfo_class_Igor_Inbox_isStopping arginfo_frankenphp_finish_request

#define arginfo_class_Igor_Inbox_stream arginfo_frankenphp_worker_get_signaling_stream

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_Job_update, 0, 1, IS_VOID, 0)
	ZEND_ARG_TYPE_INFO(0, data, IS_ARRAY, 0)
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_Job_complete, 0, 0, IS_VOID, 0)
	ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, value, IS_MIXED, 0, "null")
ZEND_END_ARG_INFO()

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_class_Igor_Job_fail, 0, 1, IS_VOID, 0)
	ZEND_ARG_OBJ_TYPE_MASK(0, reason, Throwable, MAY_BE_STRING, NULL)
ZEND_END_ARG_INFO()

#define arginfo_class_Igor_Job_isCancelled arginfo_frankenphp_finish_request

#define arginfo_class_Igor_Job_stream arginfo_frankenphp_worker_get_signaling_stream

ZEND_FUNCTION(frankenphp_worker_task_send);
ZEND_FUNCTION(frankenphp_worker_task_read);
ZEND_FUNCTION(frankenphp_worker_task_receive);
ZEND_FUNCTION(frankenphp_worker_task_update);
ZEND_FUNCTION(frankenphp_worker_get_signaling_stream);
ZEND_FUNCTION(frankenphp_worker_set_vars);
ZEND_FUNCTION(frankenphp_worker_get_vars);
ZEND_FUNCTION(frankenphp_handle_request);
ZEND_FUNCTION(frankenphp_finish_request);
ZEND_FUNCTION(frankenphp_request_headers);
ZEND_FUNCTION(frankenphp_response_headers);
ZEND_FUNCTION(headers_send);
ZEND_FUNCTION(frankenphp_log);
ZEND_METHOD(Igor_TaskFailed, getReason);
ZEND_METHOD(Igor_TaskFailed, getExitStatus);
ZEND_METHOD(Igor_TaskFailed, getErrorClass);
ZEND_METHOD(Igor_TaskFailed, getErrorMessage);
ZEND_METHOD(Igor_TaskFailed, getErrorFile);
ZEND_METHOD(Igor_TaskFailed, getErrorLine);
ZEND_METHOD(Igor_TaskFailed, getErrorTrace);
ZEND_METHOD(Igor_Worker, send);
ZEND_METHOD(Igor_Worker, current);
ZEND_METHOD(Igor_Task, read);
ZEND_METHOD(Igor_Task, await);
ZEND_METHOD(Igor_Task, cancel);
ZEND_METHOD(Igor_Task, stream);
ZEND_METHOD(Igor_Task, state);
ZEND_METHOD(Igor_Task, getIterator);
ZEND_METHOD(Igor_Task, all);
ZEND_METHOD(Igor_Task, any);
ZEND_METHOD(Igor_Task, race);
ZEND_METHOD(Igor_Inbox, receive);
ZEND_METHOD(Igor_Inbox, publish);
ZEND_METHOD(Igor_Inbox, isStopping);
ZEND_METHOD(Igor_Inbox, stream);
ZEND_METHOD(Igor_Job, update);
ZEND_METHOD(Igor_Job, complete);
ZEND_METHOD(Igor_Job, fail);
ZEND_METHOD(Igor_Job, isCancelled);
ZEND_METHOD(Igor_Job, stream);

static const zend_function_entry ext_functions[] = {
	ZEND_FE(frankenphp_worker_task_send, arginfo_frankenphp_worker_task_send)
	ZEND_FE(frankenphp_worker_task_read, arginfo_frankenphp_worker_task_read)
	ZEND_FE(frankenphp_worker_task_receive, arginfo_frankenphp_worker_task_receive)
	ZEND_FE(frankenphp_worker_task_update, arginfo_frankenphp_worker_task_update)
	ZEND_FE(frankenphp_worker_get_signaling_stream, arginfo_frankenphp_worker_get_signaling_stream)
	ZEND_FE(frankenphp_worker_set_vars, arginfo_frankenphp_worker_set_vars)
	ZEND_FE(frankenphp_worker_get_vars, arginfo_frankenphp_worker_get_vars)
	ZEND_FE(frankenphp_handle_request, arginfo_frankenphp_handle_request)
	ZEND_FE(frankenphp_finish_request, arginfo_frankenphp_finish_request)
	ZEND_RAW_FENTRY("fastcgi_finish_request", zif_frankenphp_finish_request, arginfo_fastcgi_finish_request, 0, NULL, NULL)
	ZEND_FE(frankenphp_request_headers, arginfo_frankenphp_request_headers)
	ZEND_RAW_FENTRY("apache_request_headers", zif_frankenphp_request_headers, arginfo_apache_request_headers, 0, NULL, NULL)
	ZEND_RAW_FENTRY("getallheaders", zif_frankenphp_request_headers, arginfo_getallheaders, 0, NULL, NULL)
	ZEND_FE(frankenphp_response_headers, arginfo_frankenphp_response_headers)
	ZEND_RAW_FENTRY("apache_response_headers", zif_frankenphp_response_headers, arginfo_apache_response_headers, 0, NULL, NULL)
	ZEND_FE(headers_send, arginfo_headers_send)
	ZEND_FE(frankenphp_log, arginfo_frankenphp_log)
	ZEND_FE_END
};

static const zend_function_entry class_Igor_TaskFailed_methods[] = {
	ZEND_ME(Igor_TaskFailed, getReason, arginfo_class_Igor_TaskFailed_getReason, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_TaskFailed, getExitStatus, arginfo_class_Igor_TaskFailed_getExitStatus, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_TaskFailed, getErrorClass, arginfo_class_Igor_TaskFailed_getErrorClass, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_TaskFailed, getErrorMessage, arginfo_class_Igor_TaskFailed_getErrorMessage, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_TaskFailed, getErrorFile, arginfo_class_Igor_TaskFailed_getErrorFile, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_TaskFailed, getErrorLine, arginfo_class_Igor_TaskFailed_getErrorLine, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_TaskFailed, getErrorTrace, arginfo_class_Igor_TaskFailed_getErrorTrace, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};

static const zend_function_entry class_Igor_Worker_methods[] = {
	ZEND_ME(Igor_Worker, send, arginfo_class_Igor_Worker_send, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_ME(Igor_Worker, current, arginfo_class_Igor_Worker_current, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_FE_END
};

static const zend_function_entry class_Igor_Task_methods[] = {
	ZEND_ME(Igor_Task, read, arginfo_class_Igor_Task_read, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Task, await, arginfo_class_Igor_Task_await, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Task, cancel, arginfo_class_Igor_Task_cancel, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Task, stream, arginfo_class_Igor_Task_stream, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Task, state, arginfo_class_Igor_Task_state, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Task, getIterator, arginfo_class_Igor_Task_getIterator, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Task, all, arginfo_class_Igor_Task_all, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_ME(Igor_Task, any, arginfo_class_Igor_Task_any, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_ME(Igor_Task, race, arginfo_class_Igor_Task_race, ZEND_ACC_PUBLIC|ZEND_ACC_STATIC)
	ZEND_FE_END
};

static const zend_function_entry class_Igor_Inbox_methods[] = {
	ZEND_ME(Igor_Inbox, receive, arginfo_class_Igor_Inbox_receive, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Inbox, publish, arginfo_class_Igor_Inbox_publish, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Inbox, isStopping, arginfo_class_Igor_Inbox_isStopping, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Inbox, stream, arginfo_class_Igor_Inbox_stream, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};

static const zend_function_entry class_Igor_Job_methods[] = {
	ZEND_ME(Igor_Job, update, arginfo_class_Igor_Job_update, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Job, complete, arginfo_class_Igor_Job_complete, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Job, fail, arginfo_class_Igor_Job_fail, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Job, isCancelled, arginfo_class_Igor_Job_isCancelled, ZEND_ACC_PUBLIC)
	ZEND_ME(Igor_Job, stream, arginfo_class_Igor_Job_stream, ZEND_ACC_PUBLIC)
	ZEND_FE_END
};

static void register_igor_symbols(int module_number)
{
	REGISTER_LONG_CONSTANT("FRANKENPHP_LOG_LEVEL_DEBUG", -4, CONST_PERSISTENT);
	REGISTER_LONG_CONSTANT("FRANKENPHP_LOG_LEVEL_INFO", 0, CONST_PERSISTENT);
	REGISTER_LONG_CONSTANT("FRANKENPHP_LOG_LEVEL_WARN", 4, CONST_PERSISTENT);
	REGISTER_LONG_CONSTANT("FRANKENPHP_LOG_LEVEL_ERROR", 8, CONST_PERSISTENT);
}

static zend_class_entry *register_class_Igor_Reason(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Igor\\Reason", IS_STRING, NULL);

	zval enum_case_Exited_value;
	zend_string *enum_case_Exited_value_str = zend_string_init("exited", strlen("exited"), 1);
	ZVAL_STR(&enum_case_Exited_value, enum_case_Exited_value_str);
	zend_enum_add_case_cstr(class_entry, "Exited", &enum_case_Exited_value);

	zval enum_case_UncaughtException_value;
	zend_string *enum_case_UncaughtException_value_str = zend_string_init("uncaught_exception", strlen("uncaught_exception"), 1);
	ZVAL_STR(&enum_case_UncaughtException_value, enum_case_UncaughtException_value_str);
	zend_enum_add_case_cstr(class_entry, "UncaughtException", &enum_case_UncaughtException_value);

	zval enum_case_FatalError_value;
	zend_string *enum_case_FatalError_value_str = zend_string_init("fatal_error", strlen("fatal_error"), 1);
	ZVAL_STR(&enum_case_FatalError_value, enum_case_FatalError_value_str);
	zend_enum_add_case_cstr(class_entry, "FatalError", &enum_case_FatalError_value);

	zval enum_case_MemoryLimit_value;
	zend_string *enum_case_MemoryLimit_value_str = zend_string_init("memory_limit", strlen("memory_limit"), 1);
	ZVAL_STR(&enum_case_MemoryLimit_value, enum_case_MemoryLimit_value_str);
	zend_enum_add_case_cstr(class_entry, "MemoryLimit", &enum_case_MemoryLimit_value);

	zval enum_case_Deadline_value;
	zend_string *enum_case_Deadline_value_str = zend_string_init("deadline", strlen("deadline"), 1);
	ZVAL_STR(&enum_case_Deadline_value, enum_case_Deadline_value_str);
	zend_enum_add_case_cstr(class_entry, "Deadline", &enum_case_Deadline_value);

	zval enum_case_WorkerLost_value;
	zend_string *enum_case_WorkerLost_value_str = zend_string_init("worker_lost", strlen("worker_lost"), 1);
	ZVAL_STR(&enum_case_WorkerLost_value, enum_case_WorkerLost_value_str);
	zend_enum_add_case_cstr(class_entry, "WorkerLost", &enum_case_WorkerLost_value);

	zval enum_case_Shutdown_value;
	zend_string *enum_case_Shutdown_value_str = zend_string_init("shutdown", strlen("shutdown"), 1);
	ZVAL_STR(&enum_case_Shutdown_value, enum_case_Shutdown_value_str);
	zend_enum_add_case_cstr(class_entry, "Shutdown", &enum_case_Shutdown_value);

	zval enum_case_Abandoned_value;
	zend_string *enum_case_Abandoned_value_str = zend_string_init("abandoned", strlen("abandoned"), 1);
	ZVAL_STR(&enum_case_Abandoned_value, enum_case_Abandoned_value_str);
	zend_enum_add_case_cstr(class_entry, "Abandoned", &enum_case_Abandoned_value);

	return class_entry;
}

static zend_class_entry *register_class_Igor_TaskFailed(zend_class_entry *class_entry_RuntimeException)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Igor", "TaskFailed", class_Igor_TaskFailed_methods);
	class_entry = zend_register_internal_class_with_flags(&ce, class_entry_RuntimeException, 0);

	zval property_reason_default_value;
	ZVAL_UNDEF(&property_reason_default_value);
	zend_string *property_reason_name = zend_string_init("reason", sizeof("reason") - 1, 1);
	zend_string *property_reason_class_Igor_Reason = zend_string_init("Igor\\Reason", sizeof("Igor\\Reason")-1, 1);
	zend_declare_typed_property(class_entry, property_reason_name, &property_reason_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_CLASS(property_reason_class_Igor_Reason, 0, 0));
	zend_string_release(property_reason_name);

	zval property_exitStatus_default_value;
	ZVAL_LONG(&property_exitStatus_default_value, 0);
	zend_string *property_exitStatus_name = zend_string_init("exitStatus", sizeof("exitStatus") - 1, 1);
	zend_declare_typed_property(class_entry, property_exitStatus_name, &property_exitStatus_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG));
	zend_string_release(property_exitStatus_name);

	zval property_errorClass_default_value;
	ZVAL_NULL(&property_errorClass_default_value);
	zend_string *property_errorClass_name = zend_string_init("errorClass", sizeof("errorClass") - 1, 1);
	zend_declare_typed_property(class_entry, property_errorClass_name, &property_errorClass_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING|MAY_BE_NULL));
	zend_string_release(property_errorClass_name);

	zval property_errorMessage_default_value;
	ZVAL_NULL(&property_errorMessage_default_value);
	zend_string *property_errorMessage_name = zend_string_init("errorMessage", sizeof("errorMessage") - 1, 1);
	zend_declare_typed_property(class_entry, property_errorMessage_name, &property_errorMessage_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING|MAY_BE_NULL));
	zend_string_release(property_errorMessage_name);

	zval property_errorFile_default_value;
	ZVAL_NULL(&property_errorFile_default_value);
	zend_string *property_errorFile_name = zend_string_init("errorFile", sizeof("errorFile") - 1, 1);
	zend_declare_typed_property(class_entry, property_errorFile_name, &property_errorFile_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING|MAY_BE_NULL));
	zend_string_release(property_errorFile_name);

	zval property_errorLine_default_value;
	ZVAL_NULL(&property_errorLine_default_value);
	zend_string *property_errorLine_name = zend_string_init("errorLine", sizeof("errorLine") - 1, 1);
	zend_declare_typed_property(class_entry, property_errorLine_name, &property_errorLine_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_LONG|MAY_BE_NULL));
	zend_string_release(property_errorLine_name);

	zval property_errorTrace_default_value;
	ZVAL_NULL(&property_errorTrace_default_value);
	zend_string *property_errorTrace_name = zend_string_init("errorTrace", sizeof("errorTrace") - 1, 1);
	zend_declare_typed_property(class_entry, property_errorTrace_name, &property_errorTrace_default_value, ZEND_ACC_PRIVATE, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_STRING|MAY_BE_NULL));
	zend_string_release(property_errorTrace_name);

	return class_entry;
}

static zend_class_entry *register_class_Igor_Overflow(zend_class_entry *class_entry_RuntimeException)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Igor", "Overflow", NULL);
	class_entry = zend_register_internal_class_with_flags(&ce, class_entry_RuntimeException, 0);

	return class_entry;
}

static zend_class_entry *register_class_Igor_TaskState(void)
{
	zend_class_entry *class_entry = zend_register_internal_enum("Igor\\TaskState", IS_STRING, NULL);

	zval enum_case_Pending_value;
	zend_string *enum_case_Pending_value_str = zend_string_init("pending", strlen("pending"), 1);
	ZVAL_STR(&enum_case_Pending_value, enum_case_Pending_value_str);
	zend_enum_add_case_cstr(class_entry, "Pending", &enum_case_Pending_value);

	zval enum_case_Running_value;
	zend_string *enum_case_Running_value_str = zend_string_init("running", strlen("running"), 1);
	ZVAL_STR(&enum_case_Running_value, enum_case_Running_value_str);
	zend_enum_add_case_cstr(class_entry, "Running", &enum_case_Running_value);

	zval enum_case_Completed_value;
	zend_string *enum_case_Completed_value_str = zend_string_init("completed", strlen("completed"), 1);
	ZVAL_STR(&enum_case_Completed_value, enum_case_Completed_value_str);
	zend_enum_add_case_cstr(class_entry, "Completed", &enum_case_Completed_value);

	zval enum_case_Failed_value;
	zend_string *enum_case_Failed_value_str = zend_string_init("failed", strlen("failed"), 1);
	ZVAL_STR(&enum_case_Failed_value, enum_case_Failed_value_str);
	zend_enum_add_case_cstr(class_entry, "Failed", &enum_case_Failed_value);

	zval enum_case_Cancelled_value;
	zend_string *enum_case_Cancelled_value_str = zend_string_init("cancelled", strlen("cancelled"), 1);
	ZVAL_STR(&enum_case_Cancelled_value, enum_case_Cancelled_value_str);
	zend_enum_add_case_cstr(class_entry, "Cancelled", &enum_case_Cancelled_value);

	zval enum_case_TimedOut_value;
	zend_string *enum_case_TimedOut_value_str = zend_string_init("timed_out", strlen("timed_out"), 1);
	ZVAL_STR(&enum_case_TimedOut_value, enum_case_TimedOut_value_str);
	zend_enum_add_case_cstr(class_entry, "TimedOut", &enum_case_TimedOut_value);

	return class_entry;
}

static zend_class_entry *register_class_Igor_Worker(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Igor", "Worker", class_Igor_Worker_methods);
	class_entry = zend_register_internal_class_with_flags(&ce, NULL, ZEND_ACC_FINAL);

	return class_entry;
}

static zend_class_entry *register_class_Igor_Task(zend_class_entry *class_entry_IteratorAggregate)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Igor", "Task", class_Igor_Task_methods);
	class_entry = zend_register_internal_class_with_flags(&ce, NULL, ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE);
	zend_class_implements(class_entry, 1, class_entry_IteratorAggregate);

	return class_entry;
}

static zend_class_entry *register_class_Igor_Inbox(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Igor", "Inbox", class_Igor_Inbox_methods);
	class_entry = zend_register_internal_class_with_flags(&ce, NULL, ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE);

	return class_entry;
}

static zend_class_entry *register_class_Igor_Job(void)
{
	zend_class_entry ce, *class_entry;

	INIT_NS_CLASS_ENTRY(ce, "Igor", "Job", class_Igor_Job_methods);
	class_entry = zend_register_internal_class_with_flags(&ce, NULL, ZEND_ACC_FINAL|ZEND_ACC_NO_DYNAMIC_PROPERTIES|ZEND_ACC_NOT_SERIALIZABLE);

	zval property_payload_default_value;
	ZVAL_UNDEF(&property_payload_default_value);
	zend_string *property_payload_name = zend_string_init("payload", sizeof("payload") - 1, 1);
	zend_declare_typed_property(class_entry, property_payload_name, &property_payload_default_value, ZEND_ACC_PUBLIC|ZEND_ACC_READONLY, NULL, (zend_type) ZEND_TYPE_INIT_MASK(MAY_BE_ARRAY));
	zend_string_release(property_payload_name);

	return class_entry;
}
