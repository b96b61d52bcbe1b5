#include "php-api/opcache_functions.h"

#include "sapi/cli.h"
#include "sapi/zend.h"

namespace igor::api {
namespace {

zend_result (*next_after_startup)() = nullptr;

void call(const char* name, zval* result, uint32_t count, zval* arguments) {
  zval function;
  ZVAL_STRING(&function, name);
  ZVAL_FALSE(result);
  call_user_function(nullptr, nullptr, &function, result, count, arguments);
  zval_ptr_dtor(&function);
}

// function opcache_reset(): bool
void reset(INTERNAL_FUNCTION_PARAMETERS) {
  ZEND_PARSE_PARAMETERS_NONE();
  zval status, with_scripts;
  ZVAL_TRUE(&with_scripts);
  call("opcache_get_status", &status, 1, &with_scripts);
  // False where opcache is off or this script may not use its functions (opcache.restrict_api).
  RETVAL_BOOL(Z_TYPE(status) == IS_ARRAY);
  const zval* const scripts =
      Z_TYPE(status) == IS_ARRAY ? zend_hash_str_find(Z_ARRVAL(status), ZEND_STRL("scripts")) : nullptr;
  if (scripts != nullptr && Z_TYPE_P(scripts) == IS_ARRAY) {
    zend_string* path;
    ZEND_HASH_FOREACH_STR_KEY(Z_ARRVAL_P(scripts), path) {
      if (path == nullptr || EG(exception)) continue;
      zval arguments[2], done;
      ZVAL_STR(&arguments[0], path);
      ZVAL_TRUE(&arguments[1]);  // even if the file has not changed
      call("opcache_invalidate", &done, 2, arguments);
      zval_ptr_dtor(&done);
    }
    ZEND_HASH_FOREACH_END();
  }
  zval_ptr_dtor(&status);
}

// Opcache adds its functions after the modules have started, so this is the first time to find them.
zend_result replace_reset() {
  auto* const function =
      static_cast<zend_internal_function*>(zend_hash_str_find_ptr(CG(function_table), ZEND_STRL("opcache_reset")));
  if (function != nullptr && !sapi::cli_mode()) function->handler = reset;
  return next_after_startup != nullptr ? next_after_startup() : SUCCESS;
}

}  // namespace

void install_opcache_functions() {
  next_after_startup = zend_post_startup_cb;
  zend_post_startup_cb = replace_reset;
}

}  // namespace igor::api
