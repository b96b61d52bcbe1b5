#include "php-api/environment_functions.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "php-api/no_memory.h"
#include "sapi/php_thread.h"
#include "sapi/zend.h"

namespace igor::api {
namespace {

zif_handler engine_putenv = nullptr;
zif_handler engine_getenv = nullptr;

// What the request has set; without a value: what it has taken away. A script sets few, so a list will do.
using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;
thread_local Changes changes;
// Those of an HTTP worker's script from before its first request.
thread_local std::optional<Changes> boot_changes;

// Plain C++ in these: the engine is not entered while they run, so nothing is lost to a bailout.
const std::optional<std::string>* find_change(std::string_view name) {
  for (const auto& [key, value] : changes) {
    if (key == name) return &value;
  }
  return nullptr;
}

void change(std::string_view name, const char* value, size_t size) {
  std::optional<std::string> to;
  if (value != nullptr) to.emplace(value, size);
  for (auto& [key, old] : changes) {
    if (key == name) {
      old = std::move(to);
      return;
    }
  }
  changes.emplace_back(name, std::move(to));
}

bool is_command_line() {
  const sapi::PhpThread* const thread = sapi::PhpThread::current();
  return thread == nullptr || thread->kind == sapi::PhpThread::Kind::Cli;
}

void own_putenv(INTERNAL_FUNCTION_PARAMETERS) {
  if (is_command_line()) {
    engine_putenv(INTERNAL_FUNCTION_PARAM_PASSTHRU);
    return;
  }
  char* setting;
  size_t size;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_STRING(setting, size)
  ZEND_PARSE_PARAMETERS_END();
  if (size == 0 || setting[0] == '=') {
    zend_argument_value_error(1, "must have a valid syntax");
    RETURN_THROWS();
  }
  const auto* const equals = static_cast<const char*>(memchr(setting, '=', size));
  const size_t name_size = equals == nullptr ? size : static_cast<size_t>(equals - setting);
  const size_t value_size = equals == nullptr ? 0 : size - name_size - 1;
  if (!fits([&] { change({setting, name_size}, equals == nullptr ? nullptr : equals + 1, value_size); })) {
    throw_no_memory();
    RETURN_THROWS();
  }
  RETURN_TRUE;
}

void own_getenv(INTERNAL_FUNCTION_PARAMETERS) {
  if (changes.empty()) {
    engine_getenv(INTERNAL_FUNCTION_PARAM_PASSTHRU);
    return;
  }
  char* name = nullptr;
  size_t size = 0;
  bool local_only = false;
  ZEND_PARSE_PARAMETERS_START(0, 2)
  Z_PARAM_OPTIONAL
  Z_PARAM_STRING_OR_NULL(name, size)
  Z_PARAM_BOOL(local_only)
  ZEND_PARSE_PARAMETERS_END();

  if (name != nullptr) {
    const std::optional<std::string>* const found = find_change({name, size});
    if (found == nullptr) {
      engine_getenv(INTERNAL_FUNCTION_PARAM_PASSTHRU);
    } else if (found->has_value()) {
      RETVAL_STRINGL((*found)->data(), (*found)->size());
    } else {
      RETVAL_FALSE;
    }
    return;
  }
  engine_getenv(INTERNAL_FUNCTION_PARAM_PASSTHRU);
  if (Z_TYPE_P(return_value) != IS_ARRAY) return;
  SEPARATE_ARRAY(return_value);
  for (const auto& [key, value] : changes) {
    if (value) {
      add_assoc_stringl_ex(return_value, key.data(), key.size(), value->data(), value->size());
    } else {
      zend_symtable_str_del(Z_ARRVAL_P(return_value), key.data(), key.size());
    }
  }
}

void replace(std::string_view name, zif_handler& engine, zif_handler own) {
  auto* const function =
      static_cast<zend_internal_function*>(zend_hash_str_find_ptr(CG(function_table), name.data(), name.size()));
  if (function == nullptr || function->handler == own) return;
  engine = function->handler;
  function->handler = own;
}

}  // namespace

void install_environment_functions() {
  replace("putenv", engine_putenv, own_putenv);
  replace("getenv", engine_getenv, own_getenv);
}

void end_request_environment() noexcept {
  changes.clear();
  boot_changes.reset();
}

void keep_boot_environment() {
  if (!boot_changes) boot_changes = changes;
}

void restore_boot_environment() {
  if (boot_changes && changes != *boot_changes) changes = *boot_changes;
}

}  // namespace igor::api
