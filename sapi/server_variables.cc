#include "sapi/server_variables.h"

#include <cstring>

#include "module/packed_pairs.h"
#include "sapi/cli.h"
#include "sapi/http_request.h"
#include "sapi/worker_script.h"
#include "sapi/zend.h"

namespace igor::sapi {
namespace {

void (*import_process_environment)(zval* variables) = nullptr;

// The name must end in NUL; ext/filter registers the variable itself, and says so by returning 0.
void register_variable(const char* name, std::string_view value, zval* variables) {
  char* text = const_cast<char*>(value.data());
  size_t size = value.size();
  if (sapi_module.input_filter(PARSE_SERVER, name, &text, size, &size)) {
    php_register_variable_safe(name, text, size, variables);
  }
}

void import_environment(zval* variables) {
  import_process_environment(variables);
  PhpThread* thread = PhpThread::current();
  if (!thread) return;
  for (const EnvPairs* pairs : {thread->env, thread->request_env}) {
    if (!pairs) continue;
    for (const auto& [name, value] : *pairs) {
      php_register_variable_safe(name.c_str(), value.data(), value.size(), variables);
    }
  }
}

// A longer name than any real one is left out rather than copied to the heap.
constexpr size_t kLongestName = 512;

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

bool starts_with_http(std::string_view name) {
  return name.substr(0, 5) == "HTTP_";
}

// Only what a well-formed header name becomes; a dot or a bracket would be rewritten by the engine.
bool safe_header_variable(std::string_view name) {
  for (char c : name) {
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return name != "HTTP_PROXY";
}

// The variable that the header becomes, in the buffer of kLongestName; empty when it is too long.
std::string_view variable_of(std::string_view header, char* buffer) {
  constexpr size_t kPrefix = 5;
  if (header.size() + kPrefix >= kLongestName) return {};
  std::memcpy(buffer, "HTTP_", kPrefix);
  for (size_t i = 0; i < header.size(); ++i) buffer[kPrefix + i] = header[i] == '-' ? '_' : upper(header[i]);
  return {buffer, kPrefix + header.size()};
}

bool has_underscore(std::string_view header) {
  return header.find('_') != std::string_view::npos;
}

// The variables that headers with an underscore in their name become, which pose as others: each with the value of the
// first header that becomes it rightfully, or none. What the configuration sets is no header's, and nobody contests it.
// Null when no header poses. One look at each header, however many there are: a client chooses their number. The table
// is the request's memory, so that a bailout frees it.
HashTable* contested_variables(const HttpRequest& request) {
  HashTable* contested = nullptr;
  char name[kLongestName];
  PackedPairs posing(request.request_headers());
  for (std::string_view header, value; posing.next(header, value);) {
    if (!has_underscore(header)) continue;
    const std::string_view variable = variable_of(header, name);
    if (variable.empty()) continue;
    if (!contested) {
      ALLOC_HASHTABLE(contested);
      zend_hash_init(contested, 8, nullptr, ZVAL_PTR_DTOR, false);
    }
    zval none;
    ZVAL_NULL(&none);
    zend_hash_str_update(contested, variable.data(), variable.size(), &none);
  }
  if (!contested) return nullptr;
  PackedPairs rightful(request.request_headers());
  for (std::string_view header, value; rightful.next(header, value);) {
    if (has_underscore(header)) continue;
    const std::string_view variable = variable_of(header, name);
    zval* const entry = variable.empty() ? nullptr : zend_hash_str_find(contested, variable.data(), variable.size());
    if (!entry || Z_TYPE_P(entry) != IS_NULL) continue;
    ZVAL_STRINGL(entry, value.data(), value.size());
  }
  for (const auto& [key, value] : request.env()) zend_hash_str_del(contested, key.data(), key.size());
  return contested;
}

void register_http(const HttpRequest& request, zval* variables) {
  HashTable* const contested = contested_variables(request);
  char name[kLongestName];
  PackedPairs pairs(request.server_vars());
  for (std::string_view key, value; pairs.next(key, value);) {
    if (key.empty() || key.size() >= kLongestName) continue;
    if (starts_with_http(key)) {
      if (!safe_header_variable(key)) continue;
      if (const zval* entry = contested ? zend_hash_str_find(contested, key.data(), key.size()) : nullptr) {
        if (Z_TYPE_P(entry) == IS_NULL) continue;
        value = {Z_STRVAL_P(entry), Z_STRLEN_P(entry)};
      }
    }
    std::memcpy(name, key.data(), key.size());
    name[key.size()] = '\0';
    register_variable(name, value, variables);
  }
  if (contested) {
    zend_hash_destroy(contested);
    FREE_HASHTABLE(contested);
  }
}

}  // namespace

void install_environment_hook() {
  if (php_import_environment_variables == import_environment) return;
  import_process_environment = php_import_environment_variables;
  php_import_environment_variables = import_environment;
}

char* env_lookup(PhpThread& thread, std::string_view name) noexcept {
  for (const EnvPairs* pairs : {thread.request_env, thread.env}) {
    if (!pairs) continue;
    for (const auto& [key, value] : *pairs) {
      if (key == name) return const_cast<char*>(value.c_str());
    }
  }
  return nullptr;
}

void register_server_variables(PhpThread& thread, zval* variables) {
  php_import_environment_variables(variables);
  switch (thread.kind) {
    case PhpThread::Kind::Http:
      if (thread.request) register_http(*thread.request, variables);
      break;
    case PhpThread::Kind::Worker:
      if (thread.request) register_http(*thread.request, variables);
      register_worker_variables(thread, variables);
      break;
    case PhpThread::Kind::Cli:
      register_cli_variables(variables);
      break;
  }
}

}  // namespace igor::sapi
