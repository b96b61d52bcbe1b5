#include "sapi/child_process.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <mutex>
#include <vector>

#include "sapi/php_thread.h"

namespace igor::sapi {

void settle_forked_child(pid_t parent) noexcept {
  if (parent != 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(255);  // it was sooner
  }
  // Those beyond are PHP's timers' and our own; faults are reported here as well (see crash_report.h).
  constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
  for (int number = 1; number < 32; ++number) {
    if (std::ranges::find(kFaults, number) != std::end(kFaults)) continue;
    struct sigaction action;
    if (sigaction(number, nullptr, &action) != 0) continue;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

namespace {

// A forked child's script is no longer the server's.
bool script_of_server() noexcept {
  const PhpThread* const thread = PhpThread::current();
  return thread != nullptr && thread->kind != PhpThread::Kind::Cli && !PhpThread::in_forked_child();
}

// By the script that runs here, and not waited for.
thread_local std::vector<pid_t> own_children;

// Of scripts that are over. Never destroyed: threads left behind may come here.
struct Orphans {
  std::mutex mutex;
  std::vector<pid_t> all;
};
Orphans& orphans() {
  static auto* const only = new Orphans;
  return *only;
}

void forked(pid_t child) {
  if (child > 0 && script_of_server()) own_children.push_back(child);
}

void waited_for(pid_t child) {
  if (child > 0) std::erase(own_children, child);
}

// Of this thread alone, when any would do.
int of_own(pid_t which, int options) {
  return which == -1 && script_of_server() ? options | __WNOTHREAD : options;
}

// The C library's own.
template <typename Function>
Function next(const char* name) noexcept {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// Those of standard input, output and error are the program's, and what is meant for it besides is given by dup2(),
// which takes the mark off again. Kernels before 5.11 cannot do it.
void keep_descriptors() noexcept {
#ifdef SYS_close_range
  constexpr unsigned kMarkOnly = 1u << 2;  // CLOSE_RANGE_CLOEXEC
  syscall(SYS_close_range, 3u, ~0u, kMarkOnly);
#endif
}

using Spawn = decltype(&::posix_spawn);

int spawn(Spawn next, pid_t* child, const char* program, const posix_spawn_file_actions_t* actions,
          const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment) {
  if (attributes != nullptr || !script_of_server()) {
    return next(child, program, actions, attributes, arguments, environment);
  }
  keep_descriptors();
  posix_spawnattr_t own;
  if (const int error = posix_spawnattr_init(&own); error != 0) return error;
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&own, &none);
  posix_spawnattr_setflags(&own, POSIX_SPAWN_SETSIGMASK);
  const int error = next(child, program, actions, &own, arguments, environment);
  posix_spawnattr_destroy(&own);
  return error;
}

}  // namespace

void reap_forked_children() noexcept {
  if (own_children.empty()) return;
  Orphans& left = orphans();
  const std::lock_guard lock(left.mutex);
  left.all.insert(left.all.end(), own_children.begin(), own_children.end());
  own_children.clear();
  static const auto wait = next<decltype(&::waitpid)>("waitpid");
  std::erase_if(left.all, [](pid_t child) { return wait(child, nullptr, WNOHANG) != 0; });
}

}  // namespace igor::sapi

#pragma GCC visibility push(default)

extern "C" pid_t fork() noexcept {
  static const auto next = igor::sapi::next<decltype(&::fork)>("fork");
  const pid_t child = next();
  igor::sapi::forked(child);
  return child;
}

extern "C" pid_t waitpid(pid_t which, int* status, int options) {
  static const auto next = igor::sapi::next<decltype(&::waitpid)>("waitpid");
  const pid_t child = next(which, status, igor::sapi::of_own(which, options));
  igor::sapi::waited_for(child);
  return child;
}

extern "C" pid_t wait4(pid_t which, int* status, int options, struct rusage* usage) noexcept {
  static const auto next = igor::sapi::next<decltype(&::wait4)>("wait4");
  const pid_t child = next(which, status, igor::sapi::of_own(which, options), usage);
  igor::sapi::waited_for(child);
  return child;
}

extern "C" pid_t wait3(int* status, int options, struct rusage* usage) noexcept {
  return wait4(-1, status, options, usage);
}

extern "C" int waitid(idtype_t kind, id_t which, siginfo_t* info, int options) {
  static const auto next = igor::sapi::next<decltype(&::waitid)>("waitid");
  const int failed = next(kind, which, info, kind == P_ALL ? igor::sapi::of_own(-1, options) : options);
  if (failed == 0 && info != nullptr && (options & WNOWAIT) == 0) igor::sapi::waited_for(info->si_pid);
  return failed;
}

extern "C" pid_t wait(int* status) {
  return waitpid(-1, status, 0);
}

extern "C" int posix_spawn(pid_t* child, const char* program, const posix_spawn_file_actions_t* actions,
                           const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment) {
  static const auto next = igor::sapi::next<igor::sapi::Spawn>("posix_spawn");
  return igor::sapi::spawn(next, child, program, actions, attributes, arguments, environment);
}

extern "C" int posix_spawnp(pid_t* child, const char* program, const posix_spawn_file_actions_t* actions,
                            const posix_spawnattr_t* attributes, char* const* arguments, char* const* environment) {
  static const auto next = igor::sapi::next<igor::sapi::Spawn>("posix_spawnp");
  return igor::sapi::spawn(next, child, program, actions, attributes, arguments, environment);
}

// It takes no mask, so for the moment in which the child is made the thread has none either; a signal that comes just
// then is handled here as it would be on any other thread of the process.
extern "C" FILE* popen(const char* command, const char* mode) {
  static const auto next = igor::sapi::next<decltype(&::popen)>("popen");
  if (!igor::sapi::script_of_server()) return next(command, mode);
  igor::sapi::keep_descriptors();
  sigset_t none, before;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, &before);
  FILE* const pipe = next(command, mode);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pipe;
}

#pragma GCC visibility pop
