#include "sapi/engine.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "sapi/cli.h"
#include "sapi/crash_report.h"
#include "sapi/error_report.h"
#include "sapi/http_request.h"
#include "sapi/http_script.h"
#include "sapi/opcache_gate.h"
#include "sapi/php_thread.h"
#include "sapi/server_variables.h"
#include "sapi/worker_script.h"
#include "sapi/zend.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace igor::sapi {
namespace {

// --- Callbacks: each looks at what its thread is for --------------------------------------------------

// A worker of an HTTP pool has a request only while it serves one.
bool serves_http(const PhpThread* thread) {
  return thread && (thread->kind == PhpThread::Kind::Http || thread->request);
}

int on_deactivate() {
  PhpThread* thread = PhpThread::current();
  if (serves_http(thread)) http_deactivate(*thread);
  return SUCCESS;
}

size_t on_write(const char* data, size_t size) {
  PhpThread* thread = PhpThread::current();
  if (!thread) {
    // The engine's own start: display_startup_errors.
    if (cli_mode()) return cli_write(data, size);
    log_host_problem(nullptr, {data, size});
    return size;
  }
  switch (thread->kind) {
    case PhpThread::Kind::Http:
      return http_write(*thread, data, size);
    case PhpThread::Kind::Worker:
      if (thread->request) return http_write(*thread, data, size);
      thread->log_output({data, size});
      return size;
    case PhpThread::Kind::Cli:
      return cli_write(data, size);
  }
  return size;
}

void on_flush(void*) {
  PhpThread* thread = PhpThread::current();
  if (!thread) return;
  switch (thread->kind) {
    case PhpThread::Kind::Http:
      http_flush(*thread);
      break;
    case PhpThread::Kind::Worker:
      if (thread->request) {
        http_flush(*thread);
      } else {
        thread->flush_logged_output();
      }
      break;
    case PhpThread::Kind::Cli:
      cli_flush();
      break;
  }
}

char* on_getenv(const char* name, size_t size) {
  PhpThread* thread = PhpThread::current();
  return thread ? env_lookup(*thread, {name, size}) : nullptr;
}

int on_send_headers(sapi_headers_struct*) {
  PhpThread* thread = PhpThread::current();
  if (serves_http(thread)) http_send_headers(*thread);
  return SAPI_HEADER_SENT_SUCCESSFULLY;
}

size_t on_read_post(char* buffer, size_t size) {
  PhpThread* thread = PhpThread::current();
  return serves_http(thread) ? http_read_body(*thread, buffer, size) : 0;
}

char* on_read_cookies() {
  PhpThread* thread = PhpThread::current();
  if (!thread || !thread->request || thread->request->cookie().empty()) return nullptr;
  return const_cast<char*>(thread->request->cookie().data());
}

void on_register_variables(zval* variables) {
  if (PhpThread* thread = PhpThread::current()) register_server_variables(*thread, variables);
}

void on_log_message(const char* message, int syslog_level) {
  PhpThread* thread = PhpThread::current();
  if (thread ? thread->kind == PhpThread::Kind::Cli : cli_mode()) {
    std::fprintf(stderr, "%s\n", message);
  } else {
    log_message(message, syslog_level);
  }
}

int on_startup(sapi_module_struct* module);

// --- The table ----------------------------------------------------------------------------------------

// opcache runs only under names that it knows, and frameworks look at PHP_SAPI: both know "frankenphp".
sapi_module_struct make_sapi_module() {
  sapi_module_struct module = {};
  module.name = const_cast<char*>("frankenphp");
  module.pretty_name = const_cast<char*>("Igor");
  module.startup = on_startup;
  module.shutdown = php_module_shutdown_wrapper;
  module.deactivate = on_deactivate;
  module.ub_write = on_write;
  module.flush = on_flush;
  module.getenv = on_getenv;
  module.sapi_error = php_error;
  module.send_headers = on_send_headers;
  module.read_post = on_read_post;
  module.read_cookies = on_read_cookies;
  module.register_server_variables = on_register_variables;
  module.log_message = on_log_message;
  return module;
}

// Kept for the life of the process: the engine keeps pointers into it.
sapi_module_struct igor_sapi_module;
zend_module_entry* igor_extension = nullptr;

int on_startup(sapi_module_struct* module) {
  return php_module_startup(module, igor_extension);
}

void ini_default(HashTable* configuration, std::string_view name, std::string_view text) {
  zval value;
  ZVAL_NEW_STR(&value, zend_string_init(text.data(), text.size(), true));
  zend_hash_str_update(configuration, name.data(), name.size(), &value);
}

// What php.ini may change; both as every php.ini that PHP ships has it. PHP's built-in default of
// register_argc_argv lets a query string pose as command-line arguments, and that of log_errors loses
// whatever is not displayed.
void web_ini_defaults(HashTable* configuration) {
  ini_default(configuration, "register_argc_argv", "0");
  ini_default(configuration, "log_errors", "1");
}

void cli_ini_defaults(HashTable* configuration) {
  ini_default(configuration, "display_errors", "1");
}

// What it may not.
constexpr char kCliIni[] =
    "html_errors=0\n"
    "register_argc_argv=1\n"
    "implicit_flush=1\n"
    "output_buffering=0\n"
    "max_execution_time=0\n"
    "max_input_time=-1\n";

// A bailout leaves a Fiber's stack by a longjmp, and AddressSanitizer, which does not know such stacks, keeps
// what it noted of the frames that were skipped. The next Fiber may get the same memory.
void make_fibers_known_to_asan() {
#ifdef __SANITIZE_ADDRESS__
  zend_observer_fiber_init_register([](zend_fiber_context* fiber) {
    auto* const lowest = static_cast<char*>(zend_fiber_stack_limit(fiber->stack));
    auto* const highest = static_cast<char*>(zend_fiber_stack_base(fiber->stack));
    __asan_unpoison_memory_region(lowest, static_cast<size_t>(highest - lowest));
  });
#endif
}

void (*earlier_restart_hook)(int) = nullptr;

void on_opcache_restart(int reason) {
  if (earlier_restart_hook) earlier_restart_hook(reason);
  OpcacheGate::instance().want_restart();
}

void open_opcache_gate() {
  const int lock_file = OpcacheGate::find_lock_file();
  if (lock_file < 0 && errno != ENOENT) {
    log_host_problem(nullptr, std::string("opcache's lock file cannot be opened, so opcache must not get full: ") +
                                  std::strerror(errno));
  }
  OpcacheGate::instance().open(lock_file, PhpWorkerHost::recycle_all);
  if (zend_accel_schedule_restart_hook == on_opcache_restart) return;
  earlier_restart_hook = zend_accel_schedule_restart_hook;
  zend_accel_schedule_restart_hook = on_opcache_restart;
}

size_t stack_bytes_for(zend_long configured) {
  constexpr size_t kHeadroom = 1u << 20;
  const size_t least = OsThread::kDefaultStackBytes;
  // 0: the engine finds out; -1: it does not look. Neither says how much.
  return configured <= 0 ? least : std::max(least, static_cast<size_t>(configured) + kHeadroom);
}

}  // namespace

Engine& Engine::instance() {
  static Engine* engine = new Engine;  // never destroyed: threads left behind may still look at it
  return *engine;
}

bool Engine::start(const EngineOptions& options, std::string& error) {
  std::lock_guard lifecycle(lifecycle_);
  switch (state()) {
    case State::Running:
    case State::Stopping:
      error = "PHP is already running in this process";
      return false;
    case State::Abandoned:
      error = "PHP cannot be started again: a script that could not be ended still runs; restart the process";
      return false;
    case State::Stopped:
      break;
  }
  if (!start_php(options, error)) return false;
  budget_.set_bound(options.spare_threads);
  max_wait_ = std::chrono::milliseconds(options.max_wait_ms);
  max_idle_ = std::chrono::milliseconds(options.max_idle_ms == 0 ? 5000 : options.max_idle_ms);
  if (!options.cli) http_.open(options.max_requests);
  state_.store(State::Running, std::memory_order_release);
  return true;
}

bool Engine::start_php(const EngineOptions& options, std::string& error) {
  started_ = start_failed_ = stop_asked_ = false;
  const int failed = main_.start("php-main", [this, &options] { main_thread(options); });
  if (failed != 0) {
    error = std::string("cannot start PHP's main thread: ") + std::strerror(failed);
    return false;
  }
  std::unique_lock lock(main_mutex_);
  main_changed_.wait(lock, [&] { return started_ || start_failed_; });
  if (started_) return true;
  lock.unlock();
  main_.join();
  error =
      "PHP did not start; its messages are in the log (a php.ini setting that it refuses, or an extension that it "
      "cannot load)";
  return false;
}

void Engine::main_thread(const EngineOptions& options) {
  install_crash_report();
  php_tsrm_startup();
  ZEND_TSRMLS_CACHE_UPDATE();
#ifdef ZEND_SIGNALS
  // Without it the first new thread recurses in its constructor until memory ends.
  zend_signal_startup();
#endif
  igor_sapi_module = make_sapi_module();
  igor_extension = options.extension;
  set_cli_mode(options.cli);
  std::string ini = options.ini;
  if (options.cli) {
    igor_sapi_module.name = const_cast<char*>("cli");
    igor_sapi_module.pretty_name = const_cast<char*>("Command Line Interface");
    igor_sapi_module.read_post = nullptr;
    igor_sapi_module.phpinfo_as_text = 1;
    ini.insert(0, kCliIni);
  }
  igor_sapi_module.ini_defaults = options.cli ? cli_ini_defaults : web_ini_defaults;
  igor_sapi_module.php_ini_ignore_cwd = 1;
  std::string ini_path = options.ini_path;
  std::string executable = options.executable;
  if (!ini_path.empty()) igor_sapi_module.php_ini_path_override = ini_path.data();
  sapi_startup(&igor_sapi_module);
  igor_sapi_module.php_ini_ignore = options.ini_ignore;
  if (!executable.empty()) igor_sapi_module.executable_location = executable.data();
  ini.push_back('\n');
  igor_sapi_module.ini_entries = ini.c_str();

  const bool up = igor_sapi_module.startup(&igor_sapi_module) == SUCCESS;
  if (up) {
    install_error_hooks();
    install_interrupt_hook();
    install_environment_hook();
    make_fibers_known_to_asan();
    open_opcache_gate();
    stack_bytes_ = stack_bytes_for(EG(max_allowed_stack_size));
  }
  {
    std::unique_lock lock(main_mutex_);
    (up ? started_ : start_failed_) = true;
    main_changed_.notify_all();
    // `options` is the starter's: not to be touched from here on.
    if (up) main_changed_.wait(lock, [&] { return stop_asked_; });
  }
  OpcacheGate::instance().close();
  remove_interrupt_hook();
  remove_error_hooks();
  php_module_shutdown();
  sapi_shutdown();
  tsrm_shutdown();
  ZEND_TSRMLS_CACHE = nullptr;
}

bool Engine::stop(std::chrono::milliseconds grace) {
  std::lock_guard lifecycle(lifecycle_);
  if (state() == State::Stopped) return true;
  if (state() == State::Abandoned) return false;
  state_.store(State::Stopping, std::memory_order_release);
  return stop_php(http_.stop(grace));
}

bool Engine::stop_php(bool http_ended) {
  if (!http_ended || !http_.only_resting()) {
    log_host_problem(nullptr, "PHP is not torn down: a script that could not be ended still runs");
    main_.abandon();
    state_.store(State::Abandoned, std::memory_order_release);
    return false;
  }
  http_.forget_threads();
  {
    std::lock_guard lock(main_mutex_);
    stop_asked_ = true;
    main_changed_.notify_all();
  }
  main_.join();
  state_.store(State::Stopped, std::memory_order_release);
  return true;
}

}  // namespace igor::sapi
