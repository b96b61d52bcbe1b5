#include "sapi/crash_report.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <string_view>

#include "module/log.h"
#include "module/os_thread.h"
#include "module/pool.h"
#include "module/worker_slot.h"
#include "sapi/crash_line.h"
#include "sapi/http_request.h"
#include "sapi/php_thread.h"
#include "sapi/zend.h"

namespace igor::sapi {
namespace {

constexpr suseconds_t kOverWithinUs = 800'000;  // of the crash, whatever happens
constexpr long kLastWordsMs = 200;              // for what was logged before it

struct Watched {
  int number;
  const char* name;
  bool fault;               // of an instruction: a Go host hands over those that are not its own
  struct sigaction before;  // what was there
};
Watched all_watched[] = {
    {SIGSEGV, "SIGSEGV", true, {}},  {SIGBUS, "SIGBUS", true, {}},  {SIGFPE, "SIGFPE", true, {}},
    {SIGABRT, "SIGABRT", false, {}}, {SIGILL, "SIGILL", false, {}}, {SIGTRAP, "SIGTRAP", false, {}},
    {SIGSYS, "SIGSYS", false, {}},
};

// The thread that reports, and the signal.
std::atomic<pid_t> reporter{0};
std::atomic<int> reported{0};
CrashLine line;        // the reporter's
bool written = false;  // likewise

Watched& watched_of(int number) noexcept {
  for (Watched& watched : all_watched) {
    if (watched.number == number) return watched;
  }
  return all_watched[0];  // no other has the handler
}

// --- Signals --------------------------------------------------------------------------------------------

void on_signal(int number, siginfo_t* info, void* context);

void watch(Watched& watched) noexcept {
  struct sigaction action = {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&action.sa_mask);  // a Go host's handlers, to which it may pass one on, expect that
  sigaction(watched.number, &action, &watched.before);
}

void set_default(int number) noexcept {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigaction(number, &action, nullptr);
}

void unblock(int number) noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

// By the kernel, for what the thread's own instruction did; not by kill() or raise().
bool forced(const siginfo_t& info) noexcept {
  return info.si_code > 0;
}

// Ends the process by the signal. The first process of a container is spared signals that it sends to itself.
[[noreturn]] void end_by(int number) noexcept {
  set_default(number);
  unblock(number);
  raise(number);
  _exit(128 + number);  // as a shell tells of it
}

void bound_what_follows() noexcept {
  struct sigaction action = {};
  action.sa_handler = [](int) { _exit(128 + reported.load(std::memory_order_relaxed)); };
  action.sa_flags = SA_ONSTACK;
  sigfillset(&action.sa_mask);
  sigaction(SIGALRM, &action, nullptr);
  unblock(SIGALRM);
  itimerval once = {};
  once.it_value.tv_usec = kOverWithinUs;
  setitimer(ITIMER_REAL, &once, nullptr);
}

// From here on a fault of this thread comes back to on_signal(), and one of another does no harm.
void expect_more_faults() noexcept {
  for (const Watched& watched : all_watched) {
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(watched.number, &action, nullptr);
    unblock(watched.number);
  }
}

// --- What is known --------------------------------------------------------------------------------------

struct Registers {
  uintptr_t instruction = 0;
  uintptr_t stack = 0;
};

Registers registers_of(const void* context) noexcept {
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  return {static_cast<uintptr_t>(machine.gregs[REG_RIP]), static_cast<uintptr_t>(machine.gregs[REG_RSP])};
#elif defined(__aarch64__)
  return {static_cast<uintptr_t>(machine.pc), static_cast<uintptr_t>(machine.sp)};
#else
  static_cast<void>(machine);
  return {};
#endif
}

void add_library(uintptr_t instruction) noexcept {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
  dl_find_object found;
  if (instruction == 0 || _dl_find_object(reinterpret_cast<void*>(instruction), &found) != 0) return;
  const link_map& library = *found.dlfo_link_map;
  const bool program = !library.l_name || library.l_name[0] == '\0';
  line.member_address("library", instruction - library.l_addr, program ? "igor" : library.l_name);
#else
  static_cast<void>(instruction);
#endif
}

void add_fault(const siginfo_t& info, const void* context) noexcept {
  const auto address = reinterpret_cast<uintptr_t>(info.si_addr);
  line.member_address("address", address);
  const Registers registers = registers_of(context);
  // Just beyond the end of the stack that the thread was on, its own or a Fiber's.
  constexpr uintptr_t kNear = 64u << 10;
  if (info.si_signo == SIGSEGV && address + kNear > registers.stack && address < registers.stack + kNear) {
    line.member("cause", "stack overflow");
  }
  add_library(registers.instruction);
}

void add_thread(const PhpThread* thread) noexcept {
  if (!thread) {
    char name[16] = {};
    prctl(PR_GET_NAME, name);
    line.member("thread", name);
    return;
  }
  if (thread->slot) line.member("worker", thread->slot->options().name);
  line.member("thread", thread->thread_label);
  if (thread->slot) {
    line.member("script", thread->slot->options().file);
  } else if (thread->request) {
    line.member("script", thread->request->script_filename());
  }
  if (thread->task_id != 0) line.member("task", thread->task_id);
  if (thread->request) {
    line.member("method", thread->request->method());
    line.member("url", thread->request->request_uri());
  }
}

// Where the script is: the innermost function, and the line that has called it.
void add_place() noexcept {
  constexpr int kMostFrames = 16;  // of the engine's own functions; what leads round in a circle ends, too
  int frames = 0;
  bool named = false;
  for (const zend_execute_data* frame = EG(current_execute_data); frame && frames < kMostFrames;
       frame = frame->prev_execute_data, ++frames) {
    const zend_function* function = frame->func;
    if (!function) continue;
    if (!named && function->common.function_name) {
      const zend_string* name = function->common.function_name;
      line.member("function", {ZSTR_VAL(name), ZSTR_LEN(name)});
      named = true;
    }
    if (!ZEND_USER_CODE(function->type)) continue;
    const zend_string* file = function->op_array.filename;
    line.member("file", {ZSTR_VAL(file), ZSTR_LEN(file)});
    if (frame->opline) line.member("line", frame->opline->lineno);
    return;
  }
}

// --- The report -----------------------------------------------------------------------------------------

void await_last_words() noexcept {
  if (PhpThread::in_forked_child()) return;  // who reads them is not there
  for (long waited = 0; waited < kLastWordsMs && !LogQueue::global().drained(); ++waited) {
    const timespec millisecond{0, 1'000'000};
    nanosleep(&millisecond, nullptr);
  }
}

// Once, and then the host's log; also when that is all that is left to do because the thread has faulted again.
void write_line() noexcept {
  if (written) return;
  written = true;
  const std::string_view text = line.finish();
  // A write that blocks ends with the process. One that fails has nobody to be told of it.
  [[maybe_unused]] const ssize_t wrote = write(STDERR_FILENO, text.data(), text.size());
  await_last_words();
}

void report(const Watched& watched, const siginfo_t& info, const void* context) noexcept {
  reported.store(watched.number, std::memory_order_relaxed);
  bound_what_follows();
  expect_more_faults();
  line.begin("fatal", "igor.engine", "native crash: the process ends");
  line.member("signal", watched.name);
  if (forced(info)) add_fault(info, context);
  line.member("pid", static_cast<uint64_t>(getpid()));
  // What follows reads memory that may be spoilt.
  const PhpThread* thread = PhpThread::current();
  add_thread(thread);
  if (thread) add_place();
  write_line();
}

// Whether a signal that is no fault is for us: raised by a thread that runs a script, or that the library has made.
bool is_ours(const siginfo_t& info) noexcept {
  if (!forced(info) && info.si_pid != getpid()) return false;
  const PhpThread* thread = PhpThread::current();
  return OsThread::is_current() || (thread && thread->request);
}

void pass_on(const Watched& watched, siginfo_t* info, void* context) noexcept {
  const struct sigaction& before = watched.before;
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(watched.number, info, context);
  } else if (before.sa_handler == SIG_DFL) {
    end_by(watched.number);
  } else if (before.sa_handler != SIG_IGN) {
    before.sa_handler(watched.number);
  }
}

void on_signal(int number, siginfo_t* info, void* context) {
  const Watched& watched = watched_of(number);
  const pid_t self = gettid();
  pid_t nobody = 0;
  if (reporter.load(std::memory_order_relaxed) == 0 && !watched.fault && !is_ours(*info)) {
    pass_on(watched, info, context);
    return;
  }
  if (!reporter.compare_exchange_strong(nobody, self)) {
    if (nobody == self) {
      // While reporting: the memory that it reads is spoilt.
      write_line();
      end_by(reported.load(std::memory_order_relaxed));
    }
    for (;;) pause();  // another thread reports, and ends the process
  }
  report(watched, *info, context);
  if (!watched.fault || !forced(*info)) end_by(number);
  // Back to the instruction, which faults again: so the core dump, or a sanitizer's report, is of that.
  sigaction(number, &watched.before, nullptr);
}

// Before main(): a Go host looks for handlers when it starts. First of all: caddy-plugin/bridge/php_cli.c begins there,
// too.
[[gnu::constructor(101)]] void watch_faults() {
  for (Watched& watched : all_watched) {
    if (watched.fault) watch(watched);
  }
}

}  // namespace

void install_crash_report() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (Watched& watched : all_watched) {
      if (!watched.fault) watch(watched);
    }
  });
}

}  // namespace igor::sapi
