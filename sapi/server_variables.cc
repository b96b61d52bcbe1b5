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

// Does the header of this name, as it was sent, become the variable?
bool becomes(std::string_view header, std::string_view variable) {
  if (header.size() + 5 != variable.size()) return false;
  for (size_t i = 0; i < header.size(); ++i) {
    const char c = header[i] == '-' ? '_' : upper(header[i]);
    if (c != variable[i + 5]) return false;
  }
  return true;
}

// Whether any header has an underscore in its name: then each HTTP_ variable must prove its origin.
bool has_underscore_header(const HttpRequest& request) {
  PackedPairs headers(request.request_headers());
  for (std::string_view name, value; headers.next(name, value);) {
    if (name.find('_') != std::string_view::npos) return true;
  }
  return false;
}

// The variable, when headers without an underscore and others both become it, takes the first of the
// former; when only others do, it is not registered.
bool header_value(const HttpRequest& request, std::string_view variable, std::string_view& value) {
  bool only_others = false;
  PackedPairs headers(request.request_headers());
  for (std::string_view name, found; headers.next(name, found);) {
    if (!becomes(name, variable)) continue;
    if (name.find('_') == std::string_view::npos) {
      if (only_others) value = found;
      return true;
    }
    only_others = true;
    value = found;
  }
  return !only_others;
}

void register_http(const HttpRequest& request, zval* variables) {
  const bool suspicious = has_underscore_header(request);
  char name[kLongestName];
  PackedPairs pairs(request.server_vars());
  for (std::string_view key, value; pairs.next(key, value);) {
    if (key.empty() || key.size() >= kLongestName) continue;
    if (starts_with_http(key)) {
      if (!safe_header_variable(key)) continue;
      if (suspicious && !header_value(request, key, value)) continue;
    }
    std::memcpy(name, key.data(), key.size());
    name[key.size()] = '\0';
    register_variable(name, value, variables);
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
