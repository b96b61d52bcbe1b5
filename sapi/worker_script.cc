#include "sapi/worker_script.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "module/os_thread.h"
#include "module/pool.h"
#include "module/text.h"
#include "module/worker_slot.h"
#include "sapi/engine.h"
#include "sapi/error_report.h"
#include "sapi/http_worker.h"
#include "sapi/zend.h"

namespace igor::sapi {
namespace {

// One run, as the trampolined functions below see it: only plain members, and nothing is owned.
struct Run {
  PhpThread& thread;
  WorkerSlot& slot;
  const char* file;
  bool started = false;
  bool told = false;  // the slot knows how it ended
};

// How the script ended, as far as that is known now.
Failure conclude(const PhpThread& thread) {
  if (const Failure* recorded = thread.recorded_failure()) {
    Failure failure = *recorded;
    // The engine may not have come to setting it.
    if (EG(exit_status) != 0) failure.exit_status = EG(exit_status);
    return failure;
  }
  Failure failure;
  failure.exit_status = EG(exit_status);
  if (thread.interrupted()) {
    failure.reason = Reason::Shutdown;
    failure.explain({"the script was stopped because it did not end by itself in time"});
  } else {
    failure.reason = Reason::Exited;
    failure.explain({"the script ended with exit status ", std::to_string(failure.exit_status)});
  }
  return failure;
}

void tell_slot(Run& run) {
  if (run.told || PhpThread::in_forked_child()) return;
  run.told = true;
  run.slot.script_ended(conclude(run.thread));
}

void set_ini(const char* name, size_t name_size, const char* value) {
  zend_string* key = zend_string_init(name, name_size, false);
  zend_alter_ini_entry_chars(key, value, std::strlen(value), PHP_INI_SYSTEM, PHP_INI_STAGE_RUNTIME);
  zend_string_release(key);
}

// Called by the engine.
void log_refused_setting(PhpThread& thread, const char* name, bool unknown) {
  std::string sentence;
  put_text(sentence, {"worker \"", thread.slot->options().name, "\": php_ini ", name,
                      unknown ? " is no setting of this PHP; check its name, and that its extension is loaded"
                              : " cannot have this value, or cannot be set for one worker alone"});
  log_host_problem(&thread, sentence);
}

// Request startup, with the conventions of a script that has no client and no time limit.
void start(Run& run) {
  SG(server_context) = &run.thread;
  SG(sapi_headers).http_response_code = 200;
  // Output is logged when it is printed. Errors are logged, not printed.
  PG(output_buffering) = 0;
  PG(implicit_flush) = 0;
  run.started = php_request_startup() == SUCCESS;
  if (!run.started) return;
  const std::string& settings = run.slot.options().settings;
  if (!settings.empty()) apply_settings(settings.c_str(), log_refused_setting, run.thread);
  if (run.thread.http_worker) {
    run.thread.http_worker->run_started();
    return;
  }
  set_ini(ZEND_STRL("max_execution_time"), "0");
  set_ini(ZEND_STRL("display_errors"), "0");
  set_ini(ZEND_STRL("log_errors"), "1");
  set_ini(ZEND_STRL("html_errors"), "0");
  // Whatever register_argc_argv says: a worker has arguments.
  php_build_argv(nullptr, nullptr);
}

// Before the engine turns the exception into a text and destroys it.
void handle_exception(Run& run) {
  if (!zend_is_unwind_exit(EG(exception))) run.thread.record_failure(describe_exception(EG(exception)));
  // Now, because streams that the exception holds (its trace has the arguments of calls) go with it, and
  // their tasks would be taken for abandoned ones.
  tell_slot(run);
  if (Z_TYPE(EG(user_exception_handler)) != IS_UNDEF) {
    zend_user_exception_handler();
    // Handled by the script itself, which then ended like any other.
    if (!EG(exception) && EG(exit_status) == 0) run.thread.forget_failure();
  }
  if (EG(exception)) zend_exception_error(EG(exception), E_ERROR);
}

// As the engine's own php_execute_script(), but with a look at the exception that ends the script, and
// with word to the slot before the script's static variables are destroyed.
void execute(Run& run) {
  zend_file_handle file;
  zend_stream_init_filename(&file, run.file);
  file.primary_script = true;
  PG(during_request_startup) = 0;
  VCWD_CHDIR_FILE(run.file);

  bool prepared = true;
  if (PG(auto_prepend_file) && PG(auto_prepend_file)[0]) {
    zend_file_handle prepend;
    zend_stream_init_filename(&prepend, PG(auto_prepend_file));
    prepared = zend_execute_script(ZEND_REQUIRE, nullptr, &prepend) == SUCCESS;
    zend_destroy_file_handle(&prepend);
  }
  if (prepared) {
    CG(skip_shebang) = true;
    zend_op_array* code = zend_compile_file(&file, ZEND_REQUIRE);
    CG(skip_shebang) = false;
    if (file.opened_path) zend_hash_add_empty_element(&EG(included_files), file.opened_path);
    if (code) {
      zend_execute(code, nullptr);
      zend_exception_restore();
    }
    if (EG(exception)) handle_exception(run);
    tell_slot(run);
    if (code) {
      zend_destroy_static_vars(code);
      destroy_op_array(code);
      efree_size(code, sizeof(zend_op_array));
    }
  }
  zend_destroy_file_handle(&file);
}

// Empty when the file can be run. Looked at before the engine is bothered, because its own words for a
// file that is not there talk of include_path.
std::string unreadable(const char* file) {
  struct stat about;
  int error = 0;
  if (stat(file, &about) != 0 || access(file, R_OK) != 0) {
    error = errno;
  } else if (S_ISDIR(about.st_mode)) {
    error = EISDIR;
  } else {
    return {};
  }
  log_script_unreadable(file, error);
  return std::string("cannot open the worker's script ") + file + ": " + std::strerror(error);
}

std::mutex slots_mutex;
std::set<WorkerSlot*>& slots_inside() {
  static auto* slots = new std::set<WorkerSlot*>;  // never destroyed: a thread left behind may yet leave
  return *slots;
}

void register_text(const char* name, const char* value, zval* variables) {
  php_register_variable_safe(name, value, std::strlen(value), variables);
}

}  // namespace

// A stack that PHP's configuration believes to be larger than it is ends in a crash, not in an error.
size_t PhpWorkerHost::stack_bytes() const noexcept {
  return Engine::instance().thread_stack_bytes();
}

std::string_view PhpWorkerHost::ready_hint(const PoolOptions& options) const noexcept {
  if (options.kind == PoolKind::Requests) return "it must call frankenphp_handle_request()";
  return "it must ask for its first task (frankenphp_worker_get_signaling_stream, "
         "frankenphp_worker_task_receive or Igor\\Inbox::receive)";
}

bool PhpWorkerHost::enter(WorkerSlot& slot, std::string& error) {
  if (!Engine::instance().running()) {
    error = "PHP is not running";
    return false;
  }
  auto thread = std::make_unique<PhpThread>(PhpThread::Kind::Worker, slot.label());
  thread->slot = &slot;
  std::unique_ptr<HttpWorker> http;
  if (auto queue = RequestQueue::of(slot.pool())) http = std::make_unique<HttpWorker>(std::move(queue), *thread, slot);
  {
    std::lock_guard lock(slots_mutex);
    slots_inside().insert(&slot);
  }
  thread->http_worker = http.release();
  slot.host_data.store(thread.release(), std::memory_order_release);
  return true;
}

void PhpWorkerHost::recycle_all() {
  std::lock_guard lock(slots_mutex);
  for (WorkerSlot* slot : slots_inside()) slot->stop(WorkerSlot::Stop::Recycle);
}

void PhpWorkerHost::leave(WorkerSlot& slot) {
  {
    std::lock_guard lock(slots_mutex);
    slots_inside().erase(&slot);
  }
  PhpThread* thread;
  {
    std::lock_guard lock(mutex_);
    thread = static_cast<PhpThread*>(slot.host_data.exchange(nullptr, std::memory_order_acq_rel));
  }
  if (thread) delete thread->http_worker;
  delete thread;
}

void PhpWorkerHost::interrupt(WorkerSlot& slot) {
  // A script that waits for its client watches the request, not the interrupt.
  if (const auto queue = RequestQueue::of(slot.pool())) queue->abort(slot);
  std::lock_guard lock(mutex_);
  auto* thread = static_cast<PhpThread*>(slot.host_data.load(std::memory_order_acquire));
  if (!thread) return;
  thread->request_interrupt();
  thread->nudge();
}

RunOutcome PhpWorkerHost::run(WorkerSlot& slot) {
  PhpThread& thread = *static_cast<PhpThread*>(slot.host_data.load(std::memory_order_acquire));
  const PoolOptions& options = slot.options();
  thread.begin_run();
  thread.env = options.env.empty() ? nullptr : &options.env;
  thread.scope = nullptr;
  EG(exit_status) = 0;
  HttpWorker* const http = thread.http_worker;
  if (http) http->begin_run();

  RunOutcome outcome;
  if (std::string problem = unreadable(options.file.c_str()); !problem.empty()) {
    outcome.failure.reason = Reason::FatalError;
    outcome.failure.exit_status = 255;
    outcome.failure.message = std::move(problem);
    outcome.failure.file = options.file;
    slot.script_ended(outcome.failure);
    thread.run_started(false);
    thread.end_run();
    return outcome;
  }

  char* arguments[] = {const_cast<char*>(options.file.c_str()), const_cast<char*>(options.name.c_str())};
  SG(request_info).argc = http ? 0 : 2;
  SG(request_info).argv = http ? nullptr : arguments;
  SG(request_info).path_translated = arguments[0];
  SG(request_info).request_method = nullptr;
  SG(request_info).query_string = nullptr;
  SG(request_info).request_uri = nullptr;
  SG(request_info).content_type = nullptr;
  SG(request_info).content_length = 0;
  Run run{thread, slot, options.file.c_str()};
  catch_bailout([&] { start(run); });
  thread.run_started(run.started);
  if (run.started) {
    catch_bailout([&] { execute(run); });
  } else {
    log_host_problem(&thread, "request startup failed: the worker's script was not run");
    EG(exit_status) = 255;
  }
  tell_slot(run);
  outcome.failure = conclude(thread);
  if (http) catch_bailout([&] { http->run_ended(); });

  thread.leave_forked_child();
  const bool whole = catch_bailout([] { php_request_shutdown(nullptr); });
  // A fatal error in a shutdown function or a destructor makes a failed run of a clean one.
  if (outcome.failure.reason == Reason::Exited && thread.recorded_failure()) outcome.failure = conclude(thread);
  outcome.clean = outcome.failure.reason == Reason::Exited && outcome.failure.exit_status == 0;
  SG(server_context) = nullptr;
  SG(request_info).argc = 0;
  SG(request_info).argv = nullptr;
  SG(request_info).path_translated = nullptr;
  // exit() is how some applications end a request, with whatever status.
  if (http && http->run_over() && outcome.failure.reason == Reason::Exited) outcome.clean = true;
  thread.end_run();
  if (!whole) {
    log_host_problem(&thread, "request shutdown was cut short; the thread starts afresh");
    thread.recycle();
  }
  return outcome;
}

void register_worker_variables(PhpThread& thread, zval* variables) {
  const PoolOptions& options = thread.slot->options();
  // While a request is served, the web server has said what the script is.
  if (!thread.request) {
    const char* file = options.file.c_str();
    register_text("PHP_SELF", file, variables);
    register_text("SCRIPT_NAME", file, variables);
    register_text("SCRIPT_FILENAME", file, variables);
    register_text("PATH_TRANSLATED", file, variables);
    register_text("DOCUMENT_ROOT", "", variables);
  }
  register_text("FRANKENPHP_WORKER", "1", variables);
  php_register_variable_safe("FRANKENPHP_WORKER_NAME", options.name.data(), options.name.size(), variables);
  zval background;
  ZVAL_BOOL(&background, thread.http_worker == nullptr);
  php_register_variable_ex("FRANKENPHP_WORKER_BACKGROUND", &background, variables);
  if (!thread.http_worker) php_build_argv(nullptr, variables);
}

}  // namespace igor::sapi
