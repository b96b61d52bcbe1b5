#include "php-api/extension.h"

#include <zend_enum.h>
#include <ext/spl/spl_exceptions.h>

#include "php-api/api_thread.h"
#include "php-api/environment_functions.h"
#include "php-api/igor_arginfo.h"
#include "php-api/opcache_functions.h"
#include "php-api/signal_functions.h"
#include "php-api/task_failed.h"
#include "php-api/task_object.h"
#include "php-api/worker_objects.h"

namespace {

using namespace igor::api;

zend_result start_module(int, int module_number) {
  register_igor_symbols(module_number);
  reason_class = register_class_Igor_Reason();
  task_failed_class = register_class_Igor_TaskFailed(spl_ce_RuntimeException);
  overflow_class = register_class_Igor_Overflow(spl_ce_RuntimeException);
  start_task_class(register_class_Igor_Task(zend_ce_aggregate), register_class_Igor_TaskState());
  start_worker_classes(register_class_Igor_Inbox(), register_class_Igor_Job());
  register_class_Igor_Worker();
  install_environment_functions();
  install_opcache_functions();
  install_signal_functions();
  return SUCCESS;
}

zend_result begin_request(int, int) {
  ApiThread::current().begin_request();
  return SUCCESS;
}

zend_result end_request(int, int) {
  ApiThread::current().end_request();
  end_request_environment();
  return SUCCESS;
}

void print_info(zend_module_entry* module) {
  php_info_print_table_start();
  php_info_print_table_row(2, "igor", module->version);
  php_info_print_table_end();
}

const zend_module_dep dependencies[] = {ZEND_MOD_REQUIRED("json") ZEND_MOD_REQUIRED("spl") ZEND_MOD_REQUIRED("standard")
                                            ZEND_MOD_END};

}  // namespace

zend_module_entry igor_module_entry = {
    STANDARD_MODULE_HEADER_EX,
    nullptr,
    dependencies,
    "igor",
    ext_functions,
    start_module,
    nullptr,
    begin_request,
    end_request,
    print_info,
    IGOR_VERSION,
    STANDARD_MODULE_PROPERTIES,
};
