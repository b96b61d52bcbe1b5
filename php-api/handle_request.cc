// frankenphp_handle_request(): the HTTP worker's loop around its requests is in sapi/http_worker.h; here is
// what the API itself forgets from one to the next.
#include <ext/spl/spl_exceptions.h>

#include "php-api/api_thread.h"
#include "php-api/environment_functions.h"
#include "php-api/no_memory.h"
#include "sapi/http_worker.h"

using namespace igor;
using namespace igor::api;

ZEND_FUNCTION(frankenphp_handle_request) {
  zend_fcall_info call;
  zend_fcall_info_cache cache;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_FUNC(call, cache)
  ZEND_PARSE_PARAMETERS_END();
  sapi::PhpThread* const thread = sapi::PhpThread::current();
  if (thread == nullptr || thread->http_worker == nullptr || sapi::PhpThread::in_forked_child()) {
    zend_throw_exception(spl_ce_RuntimeException, "frankenphp_handle_request() called while not in worker mode", 0);
    RETURN_THROWS();
  }
  if (!thread->http_worker->serving()) {
    if (!fits(keep_boot_environment)) {
      throw_no_memory();
      RETURN_THROWS();
    }
    ApiThread::current().turn_http_request();
  }
  switch (thread->http_worker->handle(call, cache)) {
    case sapi::HttpWorker::Handled::Served:
      ApiThread::current().turn_http_request();
      if (!fits(restore_boot_environment)) {
        throw_no_memory();
        RETURN_THROWS();
      }
      RETURN_TRUE;
    case sapi::HttpWorker::Handled::Stop:
      RETURN_FALSE;
    case sapi::HttpWorker::Handled::Exiting:
      RETURN_THROWS();
    case sapi::HttpWorker::Handled::Nested:
      zend_throw_exception(spl_ce_RuntimeException,
                           "frankenphp_handle_request() called while a request is being handled; it must return first",
                           0);
      RETURN_THROWS();
  }
}
