#include "sapi/cli.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "module/activity.h"
#include "module/log.h"
#include "module/os_thread.h"
#include "sapi/cli_options.h"
#include "sapi/engine.h"
#include "sapi/zend.h"
// After zend.h.
extern "C" {
#include <zend_highlight.h>
#include <ext/standard/php_standard.h>

PHPAPI extern char* php_ini_opened_path;
PHPAPI extern char* php_ini_scanned_path;
PHPAPI extern char* php_ini_scanned_files;
}

namespace igor::sapi {
namespace {

std::atomic<bool> in_cli_mode{false};

// What $_SERVER says of the script; set before request startup, constant after it.
struct ScriptNames {
  std::string name;
  std::string path;  // empty: it comes from standard input
};
ScriptNames& script() {
  static auto* const names = new ScriptNames;
  return *names;
}

// --- Output of workers --------------------------------------------------------------------------------

// Prints what workers log, until the queue is closed and empty.
void print_log(FILE* out) {
  LogRecord record;
  uint64_t dropped = 0;
  for (;;) {
    const LogQueue::Next next = LogQueue::global().next(1000, record, dropped);
    if (next == LogQueue::Next::Closed) return;
    if (next == LogQueue::Next::Timeout || !out || record.level < kLogInfo) continue;
    std::string line = "[" + record.logger + "] " + record.message;
    for (const auto& [key, value] : record.fields) line += " " + key + "=" + value;
    if (!record.context_json.empty()) line += " " + record.context_json;
    std::fprintf(out, "%s\n", line.c_str());
    std::fflush(out);
  }
}

FILE* worker_log() {
  const char* where = std::getenv("IGOR_WORKER_LOG");
  if (!where || !*where) return stderr;
  if (std::strcmp(where, "none") == 0) return nullptr;
  if (FILE* file = std::fopen(where, "ae")) return file;
  std::fprintf(stderr, "IGOR_WORKER_LOG: cannot open %s: %s; logging to standard error\n", where, std::strerror(errno));
  return stderr;
}

// --- The script ---------------------------------------------------------------------------------------

// STDIN, STDOUT and STDERR. The descriptors stay open when the constants go: extensions still write there.
void register_standard_streams() {
  const struct {
    const char* name;
    const char* url;
    const char* mode;
  } streams[] = {{"STDIN", "php://stdin", "rb"}, {"STDOUT", "php://stdout", "wb"}, {"STDERR", "php://stderr", "wb"}};
  for (const auto& one : streams) {
    php_stream* stream = php_stream_open_wrapper(const_cast<char*>(one.url), one.mode, 0, nullptr);
    if (!stream) continue;
    stream->flags |= PHP_STREAM_FLAG_NO_RSCR_DTOR_CLOSE;
    zend_constant constant;
    php_stream_to_zval(stream, &constant.value);
    ZEND_CONSTANT_SET_FLAGS(&constant, 0, 0);
    constant.name = zend_string_init_interned(one.name, std::strlen(one.name), false);
    zend_register_constant(&constant);
  }
}

// Opens the script, or standard input. Prints the reason and answers false when that fails.
bool open_script(const CliOptions& options, zend_file_handle* file) {
  if (options.script.empty()) {
    zend_stream_init_fp(file, stdin, "Standard input code");
  } else {
    FILE* opened = VCWD_FOPEN(options.script.c_str(), "rb");
    if (!opened) {
      std::fprintf(stderr, "Could not open input file: %s\n", options.script.c_str());
      return false;
    }
    zend_stream_init_fp(file, opened, options.script.c_str());
  }
  file->primary_script = true;
  return true;
}

void list_modules() {
  php_printf("[PHP Modules]\n");
  // Sorted by name, as everybody's scripts expect it.
  std::vector<const char*>* names = new std::vector<const char*>;
  zval* entry;
  ZEND_HASH_MAP_FOREACH_VAL(&module_registry, entry) {
    names->push_back(static_cast<zend_module_entry*>(Z_PTR_P(entry))->name);
  }
  ZEND_HASH_FOREACH_END();
  std::sort(names->begin(), names->end(), [](const char* a, const char* b) { return strcasecmp(a, b) < 0; });
  for (const char* name : *names) php_printf("%s\n", name);
  delete names;
  php_printf("\n[Zend Modules]\n");
  zend_llist_position position;
  for (auto* one = static_cast<zend_extension*>(zend_llist_get_first_ex(&zend_extensions, &position)); one;
       one = static_cast<zend_extension*>(zend_llist_get_next_ex(&zend_extensions, &position))) {
    php_printf("%s\n", one->name);
  }
  php_printf("\n");
}

void show_extension(const char* name) {
  zend_string* lower = zend_string_init(name, std::strlen(name), false);
  zend_str_tolower(ZSTR_VAL(lower), ZSTR_LEN(lower));
  auto* module = static_cast<zend_module_entry*>(zend_hash_find_ptr(&module_registry, lower));
  zend_string_release(lower);
  if (module) {
    php_info_print_module(module);
  } else {
    php_printf("Extension '%s' not present.\n", name);
    EG(exit_status) = 1;
  }
}

void show_ini_files() {
  php_printf("Configuration File (php.ini) Path: %s\n", PHP_CONFIG_FILE_PATH);
  php_printf("Loaded Configuration File:         %s\n", php_ini_opened_path ? php_ini_opened_path : "(none)");
  php_printf("Scan for additional .ini files in: %s\n", php_ini_scanned_path ? php_ini_scanned_path : "(none)");
  php_printf("Additional .ini files parsed:      %s\n", php_ini_scanned_files ? php_ini_scanned_files : "(none)");
}

// Between request startup and shutdown, inside a trampoline: no C++ object with a destructor.
void perform(const CliOptions& options, zend_file_handle* file) {
  using Mode = CliOptions::Mode;
  PG(during_request_startup) = 0;
  CG(skip_shebang) = true;
  zend_is_auto_global(ZSTR_KNOWN(ZEND_STR_AUTOGLOBAL_SERVER));
  switch (options.mode) {
    case Mode::Script:
      register_standard_streams();
      php_execute_script(file);
      break;
    case Mode::Code:
      register_standard_streams();
      zend_eval_string_ex(options.code.c_str(), nullptr, "Command line code", true);
      break;
    case Mode::Lint:
      if (php_lint_script(file) == SUCCESS) {
        zend_printf("No syntax errors detected in %s\n", script().name.c_str());
      } else {
        zend_printf("Errors parsing %s\n", script().name.c_str());
        EG(exit_status) = 255;
      }
      break;
    case Mode::Highlight: {
      zend_syntax_highlighter_ini colours;
      if (open_file_for_scanning(file) == SUCCESS) {
        php_get_highlight_struct(&colours);
        zend_highlight(&colours);
      }
      break;
    }
    case Mode::Strip:
      if (open_file_for_scanning(file) == SUCCESS) zend_strip();
      break;
    case Mode::Info:
      php_print_info(PHP_INFO_ALL & ~PHP_INFO_CREDITS);
      break;
    case Mode::Modules:
      list_modules();
      break;
    case Mode::IniFiles:
      show_ini_files();
      break;
    case Mode::ExtensionInfo:
      show_extension(options.extension.c_str());
      break;
    case Mode::Version:
    case Mode::Help:
      break;
  }
}

// The whole request, on the script's thread. Returns the exit status.
int run_request(PhpThread& thread, const CliOptions& options) {
  using Mode = CliOptions::Mode;
  if (options.mode == Mode::Version) {
    char* version = php_get_version(&sapi_module);
    std::fputs(version, stdout);
    efree(version);
    std::fflush(stdout);
    return 0;
  }
  thread.begin_run();
  EG(exit_status) = 0;
  SG(options) |= SAPI_OPTION_NO_CHDIR;
  if (options.extended_info) CG(compiler_options) |= ZEND_COMPILE_EXTENDED_INFO;

  const bool needs_file = options.mode == Mode::Script || options.mode == Mode::Lint ||
                          options.mode == Mode::Highlight || options.mode == Mode::Strip;
  zend_file_handle file = {};
  virtual_cwd_activate();
  if (needs_file && !open_script(options, &file)) return 1;

  char resolved[PATH_MAX];
  script().name = options.script.empty() ? "Standard input code" : options.script;
  script().path = options.script.empty()                                  ? ""
                  : realpath(options.script.c_str(), resolved) != nullptr ? resolved
                                                                          : options.script;
  std::vector<char*> arguments{script().name.data()};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  SG(request_info).argc = static_cast<int>(arguments.size());
  SG(request_info).argv = arguments.data();
  SG(request_info).path_translated = script().path.empty() ? script().name.data() : script().path.data();
  SG(server_context) = &thread;

  const pid_t process = getpid();
  bool started = false;
  catch_bailout([&] { started = php_request_startup() == SUCCESS; });
  thread.run_started(started);
  if (started) {
    catch_bailout([&] { perform(options, &file); });
  } else {
    std::fprintf(stderr, "Could not startup.\n");
    EG(exit_status) = 1;
  }
  catch_bailout([&] {
    if (file.filename) zend_destroy_file_handle(&file);
  });
  catch_bailout([] { php_request_shutdown(nullptr); });
  const int status = EG(exit_status);
  std::fflush(stdout);
  thread.end_run();
  SG(server_context) = nullptr;
  // A forked child has this thread only: nobody there to stop the engine with.
  if (getpid() != process) _exit(status);
  return status;
}

// -l takes any number of files; the last that has a problem decides on the status.
int check_all(PhpThread& thread, const CliOptions& options) {
  int status = run_request(thread, options);
  CliOptions one = options;
  one.arguments.clear();
  for (char* file : options.arguments) {
    one.script = file;
    if (const int problem = run_request(thread, one)) status = problem;
  }
  return status;
}

std::string directory_of(const std::string& script) {
  char resolved[PATH_MAX];
  std::string path = script.empty() || !realpath(script.c_str(), resolved) ? std::string() : std::string(resolved);
  if (const size_t slash = path.rfind('/'); slash != std::string::npos) return path.substr(0, slash);
  return getcwd(resolved, sizeof resolved) ? resolved : ".";
}

// From the options and from IGOR_WORKERS.
bool collect_workers(const CliOptions& options, std::vector<CliWorker>& workers, std::string& error) {
  std::vector<std::string> texts = options.workers;
  if (const char* listed = std::getenv("IGOR_WORKERS")) {
    const std::string list = listed;
    for (size_t from = 0; from <= list.size();) {
      const size_t to = std::min(list.find(';', from), list.size());
      std::string text = list.substr(from, to - from);
      text.erase(0, text.find_first_not_of(" \t\r\n"));
      text.erase(text.find_last_not_of(" \t\r\n") + 1);
      if (!text.empty()) texts.push_back(std::move(text));
      from = to + 1;
    }
  }
  const std::string directory = directory_of(options.script);
  for (const std::string& text : texts) {
    CliWorker worker;
    if (!parse_cli_worker(text, worker, error)) return false;
    if (worker.file[0] != '/') worker.file = directory + "/" + worker.file;
    workers.push_back(std::move(worker));
  }
  return true;
}

}  // namespace

int cli_main(int argc, char** argv, zend_module_entry* extension, CliHost& host) {
  CliOptions options;
  std::string error;
  if (!parse_cli_options(argc, argv, options, error)) {
    std::fputs(error.c_str(), stderr);
    return 1;
  }
  if (options.mode == CliOptions::Mode::Help) {
    std::fputs(cli_usage(argv[0]).c_str(), stdout);
    return 0;
  }
  std::vector<CliWorker> workers;
  const bool runs_code = options.mode == CliOptions::Mode::Script || options.mode == CliOptions::Mode::Code;
  if (runs_code && !collect_workers(options, workers, error)) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 1;
  }
  if (options.hide_arguments) {
    // The copies that the script gets were not made yet: keep them.
    for (char*& argument : options.arguments) argument = strdup(argument);
    for (int i = 1; i < argc; ++i) std::memset(argv[i], 0, std::strlen(argv[i]));
  }

  // A peer that goes away is an error of write(), not the end of the process.
  signal(SIGPIPE, SIG_IGN);
  // From here on every thread that is made blocks signals; the script's thread unblocks them for itself.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);

  EngineOptions engine;
  engine.cli = true;
  engine.ini = options.ini;
  engine.ini_path = options.ini_path;
  engine.ini_ignore = options.ini_ignore;
  engine.executable = argv[0];
  engine.extension = extension;
  set_cli_mode(true);
  if (!Engine::instance().start(engine, error)) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 1;
  }

  int status = 1;
  OsThread printer;
  FILE* log = nullptr;
  Scope* scope = nullptr;
  bool workers_up = true;
  if (!workers.empty()) {
    log = worker_log();
    printer.start("log", [log] { print_log(log); });
    workers_up = host.start_workers(workers, scope, error);
    if (!workers_up) std::fprintf(stderr, "%s\n", error.c_str());
  }
  if (workers_up) {
    OsThread script;
    const int failed = script.start(
        "php-cli",
        [&] {
          pthread_sigmask(SIG_SETMASK, &before, nullptr);
          activity::thread_started();
          PhpThread thread(PhpThread::Kind::Cli, "cli");
          thread.scope = scope;
          status = options.mode == CliOptions::Mode::Lint ? check_all(thread, options) : run_request(thread, options);
        },
        Engine::instance().thread_stack_bytes());
    if (failed != 0) std::fprintf(stderr, "cannot start a thread for the script: %s\n", std::strerror(failed));
    script.join();
  }
  if (!workers.empty()) {
    host.stop_workers();
    LogQueue::global().close();
    printer.join();
    if (log && log != stderr) std::fclose(log);
  }
  const bool ended = Engine::instance().stop(std::chrono::milliseconds(0));
  std::fflush(stdout);
  // A thread that was left behind must not meet static objects being destroyed.
  if (!ended) _exit(status);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return status;
}

bool cli_mode() noexcept {
  return in_cli_mode.load(std::memory_order_relaxed);
}
void set_cli_mode(bool on) noexcept {
  in_cli_mode.store(on, std::memory_order_relaxed);
}

size_t cli_write(const char* data, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t wrote = write(STDOUT_FILENO, data + done, size - done);
    if (wrote > 0) {
      done += static_cast<size_t>(wrote);
    } else if (wrote < 0 && errno == EAGAIN) {
      // Somebody made the terminal or pipe non-blocking; that is no reason to lose output.
      pollfd ready{STDOUT_FILENO, POLLOUT, 0};
      poll(&ready, 1, -1);
    } else if (wrote < 0 && errno != EINTR) {
      EG(exit_status) = 255;
      php_handle_aborted_connection();
      break;
    }
  }
  return done;
}

void cli_flush() {
  // EBADF: the script closed STDOUT.
  if (std::fflush(stdout) == EOF && errno != EBADF) php_handle_aborted_connection();
}

void register_cli_variables(zval* variables) {
  const auto add = [&](const char* name, const std::string& value) {
    php_register_variable_safe(name, value.data(), value.size(), variables);
  };
  const std::string empty;
  add("PHP_SELF", script().name);
  add("SCRIPT_NAME", script().name);
  add("SCRIPT_FILENAME", script().path.empty() ? empty : script().name);
  add("PATH_TRANSLATED", script().path.empty() ? empty : script().name);
  add("DOCUMENT_ROOT", empty);
}

}  // namespace igor::sapi
