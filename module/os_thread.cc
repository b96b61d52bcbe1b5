#include "module/os_thread.h"

#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace igor {
namespace {

// SIGRTMIN itself belongs to PHP's execution timers.
int nudge_signal() noexcept {
  return SIGRTMIN + 4;
}

void install_nudge_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    // No SA_RESTART: ending the system call is the point. SA_ONSTACK: a Go host requires it of all handlers.
    action.sa_flags = SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(nudge_signal(), &action, nullptr);
  });
}

sigset_t worker_mask() {
  sigset_t mask;
  sigfillset(&mask);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) sigdelset(&mask, fault);
  sigdelset(&mask, SIGRTMIN);
  sigdelset(&mask, nudge_signal());
  return mask;
}

struct Start {
  char name[16];
  OsThread::Body body;
};

// Where the handlers of the thread's signals run, as far as they ask for it (SA_ONSTACK).
class AlternateStack {
 public:
  AlternateStack() noexcept {
    stack_t now;
    if (sigaltstack(nullptr, &now) != 0 || !(now.ss_flags & SS_DISABLE)) return;  // a sanitizer's
    // What the kernel puts there first grows with the processor's registers.
    const size_t size = std::max<size_t>(getauxval(AT_MINSIGSTKSZ), MINSIGSTKSZ) + kForHandlers;
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return;  // then it has to do without
    stack_.ss_sp = memory;
    stack_.ss_size = size;
    sigaltstack(&stack_, nullptr);
  }
  ~AlternateStack() {
    if (!stack_.ss_sp) return;
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
    munmap(stack_.ss_sp, stack_.ss_size);
  }
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;

 private:
  static constexpr size_t kForHandlers = 64u << 10;  // reserved, not committed
  stack_t stack_ = {};
};

thread_local bool is_os_thread = false;

void* trampoline(void* argument) {
  std::unique_ptr<Start> start(static_cast<Start*>(argument));
  const AlternateStack handlers_stack;
  is_os_thread = true;
  pthread_setname_np(pthread_self(), start->name);
  start->body();
  return nullptr;
}

}  // namespace

OsThread::~OsThread() {
  // A running thread whose owner is gone would use freed memory: better to stop here, visibly.
  if (started_) std::terminate();
}

int OsThread::start(std::string_view name, Body body, size_t stack_bytes) noexcept {
  install_nudge_handler();
  std::unique_ptr<Start> start(new (std::nothrow) Start{{}, std::move(body)});
  if (!start) return ENOMEM;
  name.copy(start->name, sizeof start->name - 1);
  pthread_attr_t attributes;
  if (int error = pthread_attr_init(&attributes)) return error;
  int error = pthread_attr_setstacksize(&attributes, stack_bytes);
  if (error == 0) {
    sigset_t mask = worker_mask(), before;
    pthread_sigmask(SIG_SETMASK, &mask, &before);
    error = pthread_create(&handle_, &attributes, trampoline, start.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  pthread_attr_destroy(&attributes);
  if (error != 0) return error;
  static_cast<void>(start.release());  // the trampoline owns it now
  started_ = true;
  return 0;
}

bool OsThread::is_current() noexcept {
  return is_os_thread;
}

void OsThread::join() {
  if (!started_) return;
  pthread_join(handle_, nullptr);
  started_ = false;
}

void OsThread::abandon() {
  if (!started_) return;
  pthread_detach(handle_);
  started_ = false;
}

void OsThread::nudge() const noexcept {
  if (started_) nudge(handle_);
}

AsyncSignalsBlocked::AsyncSignalsBlocked() noexcept {
  static const sigset_t mask = [] {
    install_nudge_handler();
    return worker_mask();
  }();
  pthread_sigmask(SIG_BLOCK, &mask, &before_);
}

AsyncSignalsBlocked::~AsyncSignalsBlocked() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void OsThread::nudge(pthread_t thread) noexcept {
  pthread_kill(thread, nudge_signal());
}

}  // namespace igor
