// frankenphp_log(): a script's own line in the server's structured log.
#include "sapi/zend.h"

extern "C" {
// This header of the engine does not say so itself.
extern "C" {
#include <ext/json/php_json.h>
}
}
#include <zend_smart_str.h>

#include <climits>
#include <string>

#include "module/log.h"
#include "module/worker_slot.h"
#include "php-api/api_thread.h"
#include "sapi/error_report.h"
#include "sapi/http_request.h"

using namespace igor;

namespace {

// Copies out of the engine's memory; enters it no more.
void push_record(const zend_string* message, zend_long level, const zend_string* context) noexcept {
  sapi::log_record([&](LogRecord& record) {
    record.logger = "php";
    record.level = level < INT_MIN ? INT_MIN : level > INT_MAX ? INT_MAX : static_cast<int>(level);
    record.message.assign(ZSTR_VAL(message), ZSTR_LEN(message));
    if (context != nullptr) record.context_json.assign(ZSTR_VAL(context), ZSTR_LEN(context));
    if (const sapi::PhpThread* const thread = sapi::PhpThread::current()) {
      if (thread->slot != nullptr) record.fields.emplace_back("worker", thread->slot->options().name);
      if (thread->task_id != 0) record.fields.emplace_back("task", std::to_string(thread->task_id));
      if (thread->request != nullptr) record.fields.emplace_back("url", std::string(thread->request->request_uri()));
      record.fields.emplace_back("thread", thread->thread_label);
    }
  });
}

}  // namespace

ZEND_FUNCTION(frankenphp_log) {
  zend_string* message;
  zend_long level = 0;
  zval* context = nullptr;
  ZEND_PARSE_PARAMETERS_START(1, 3)
  Z_PARAM_STR(message)
  Z_PARAM_OPTIONAL
  Z_PARAM_LONG(level)
  Z_PARAM_ARRAY(context)
  ZEND_PARSE_PARAMETERS_END();

  smart_str json = {nullptr, 0};
  if (context != nullptr && zend_hash_num_elements(Z_ARRVAL_P(context)) > 0) {
    // A value that has no JSON form becomes null (NAN and INF: 0); the message must not be lost for it.
    // The whole must be an object, even for a list; lists inside of one stay lists.
    const int object = zend_array_is_list(Z_ARRVAL_P(context)) ? PHP_JSON_FORCE_OBJECT : 0;
    php_json_encode(&json, context, PHP_JSON_PARTIAL_OUTPUT_ON_ERROR | PHP_JSON_INVALID_UTF8_SUBSTITUTE | object);
    smart_str_0(&json);
    if (EG(exception)) {
      smart_str_free(&json);
      RETURN_THROWS();
    }
  }
  push_record(message, level, json.s);
  smart_str_free(&json);
}
