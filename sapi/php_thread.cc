#include "sapi/php_thread.h"

#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>

#include "sapi/child_process.h"
#include "sapi/error_report.h"
#include "sapi/opcache_gate.h"
#include "sapi/payload_codec.h"
#include "sapi/zend.h"
// After zend.h.
#include <zend_call_stack.h>
#include <zend_strtod.h>

extern "C" {
#include <ext/standard/basic_functions.h>
}

ZEND_TSRMLS_CACHE_DEFINE()

namespace igor::sapi {
namespace {

thread_local PhpThread* current_thread = nullptr;
std::atomic<uint32_t> attached_threads{0};
std::atomic<bool> forked_child{false};

pid_t server = 0;

// The engine's lock that each script takes at its end: the child must not be made while another thread has it.
void before_fork() {
  if (current_thread != nullptr) tsrm_env_lock();
}

void after_fork() {
  if (current_thread != nullptr) tsrm_env_unlock();
}

// As opcache.enable says: a lock of its memory may be somebody's who is not here, and what it compiles is not for all.
void do_without_opcache() {
  zend_string* const name = zend_string_init(ZEND_STRL("opcache.enable"), false);
  zend_alter_ini_entry_chars(name, "0", 1, PHP_INI_SYSTEM, PHP_INI_STAGE_RUNTIME);
  zend_string_release(name);
}

void in_child() {
  after_fork();
  const bool of_the_server = !forked_child.exchange(true, std::memory_order_relaxed);
  PhpThread* const thread = current_thread;
  if (thread == nullptr) return;
  do_without_opcache();
  if (thread->kind == PhpThread::Kind::Cli) return;
  thread->request = nullptr;  // the parent's; and there is nobody here who would take output or give input
  settle_forked_child(of_the_server ? server : 0);
}

void watch_forks() {
  static std::once_flag once;
  std::call_once(once, [] {
    server = getpid();
    pthread_atfork(before_fork, after_fork, in_child);
  });
}

// A script that prints without ever ending its line is cut here.
constexpr size_t kLongestLine = 16u << 10;

void (*earlier_interrupt)(zend_execute_data*) = nullptr;

// The engine calls this between two instructions, or after an internal function, when it was told to.
void on_interrupt(zend_execute_data* execute_data) {
  if (earlier_interrupt) earlier_interrupt(execute_data);
  PhpThread* thread = current_thread;
  if (!thread) return;
  // One is on its way already: if it ends the script, all is well. Whoever asked asks again until it ends.
  // (Raising the flag again here would bring the engine back here before it deals with the exception.)
  if (EG(exception)) return;
  const uint32_t nth = thread->take_interrupt();
  if (nth == 0) return;
  EG(exit_status) = 255;
  // Unwinding skips catch and finally blocks but runs destructors; a destructor or a shutdown function
  // that does not end is what the second time is for.
  if (nth == 1 && EG(current_execute_data) && !(EG(flags) & EG_FLAGS_IN_SHUTDOWN)) {
    zend_throw_unwind_exit();
  } else {
    zend_bailout();
  }
}

}  // namespace

PhpThread::PhpThread(Kind kind_, std::string label) : kind(kind_), thread_label(std::move(label)) {
  attached_threads.fetch_add(1, std::memory_order_acq_rel);
  watch_forks();
  attach();
  current_thread = this;
}

PhpThread::~PhpThread() {
  current_thread = nullptr;
  if (forgotten_) return;
  detach();
  attached_threads.fetch_sub(1, std::memory_order_acq_rel);
}

void PhpThread::forget() noexcept {
  std::lock_guard lock(mutex_);
  vm_interrupt_ = nullptr;
  forgotten_ = true;
  attached_threads.fetch_sub(1, std::memory_order_acq_rel);
}

PhpThread* PhpThread::current() noexcept {
  return current_thread;
}

bool PhpThread::in_forked_child() noexcept {
  return forked_child.load(std::memory_order_relaxed);
}

uint32_t PhpThread::attached() noexcept {
  return attached_threads.load(std::memory_order_acquire);
}

void PhpThread::attach() {
  // Makes this thread's copy of all engine and extension globals. The stack's bounds are read here too
  // (zend_call_stack_init), which is why the thread must already be the one that runs the scripts.
  (void)ts_resource(0);
  ZEND_TSRMLS_CACHE_UPDATE();
  // A stack that is configured to be larger than it is ends in a crash, not in an error.
  if (EG(max_allowed_stack_size) > 0 && EG(call_stack).base && EG(call_stack).max_size > 0 &&
      static_cast<size_t>(EG(max_allowed_stack_size)) > EG(call_stack).max_size) {
    EG(stack_limit) = zend_call_stack_limit(EG(call_stack).base, EG(call_stack).max_size, EG(reserved_stack_size));
  }
  std::lock_guard lock(mutex_);
  vm_interrupt_ = &EG(vm_interrupt);
}

void PhpThread::detach() {
  {
    std::lock_guard lock(mutex_);
    vm_interrupt_ = nullptr;
  }
  zend_shutdown_strtod();  // frees what the thread's conversions of floats kept; the engine forgets it
  ts_free_thread();
  ZEND_TSRMLS_CACHE = nullptr;
}

void PhpThread::recycle() {
  detach();
  attach();
}

void PhpThread::request_interrupt() noexcept {
  interrupts_asked_.fetch_add(1, std::memory_order_release);
  interrupt.raise();
  std::lock_guard lock(mutex_);
  if (vm_interrupt_) zend_atomic_bool_store(static_cast<zend_atomic_bool*>(vm_interrupt_), true);
}

uint32_t PhpThread::take_interrupt() noexcept {
  const uint32_t asked = interrupts_asked_.load(std::memory_order_acquire);
  if (asked == interrupts_taken_) return 0;
  interrupts_taken_ = asked;
  return ++interrupts_of_run_;
}

void PhpThread::run_started(bool succeeded) noexcept {
  OpcacheGate::instance().started(alone_, succeeded);
  alone_ = false;
}

void PhpThread::begin_run() noexcept {
  alone_ = OpcacheGate::instance().enter();
  interrupts_taken_ = interrupts_asked_.load(std::memory_order_acquire);
  interrupts_of_run_ = 0;
  interrupt.clear();
  failed_ = false;
  failure_ = Failure();
  output_line_.clear();
  task_id = 0;
}

void PhpThread::end_run() noexcept {
  OpcacheGate::instance().leave();
  if (kind != Kind::Cli) reap_forked_children();
  flush_logged_output();
  drop_consumed_payloads();
  if (kind != Kind::Cli) kept_.clear();  // the command line's goes with its engine state, however its request ended
  request = nullptr;
  env = nullptr;
  request_env = nullptr;
  if (kind == Kind::Http) scope = nullptr;
}

void PhpThread::leave_forked_child() noexcept {
  // The command line has output of its own to flush first.
  if (!in_forked_child() || kind == Kind::Cli) return;
  // What the script has left to do, in the engine's order. The rest of a request's shutdown is the extensions', who
  // take locks that may be somebody's who is not here; and the system frees all of it.
  EG(flags) |= EG_FLAGS_IN_SHUTDOWN;
  EG(current_execute_data) = nullptr;
  catch_bailout([] { php_call_shutdown_functions(); });
  catch_bailout([] { zend_call_destructors(); });
  catch_bailout([] { php_output_end_all(); });
  flush_logged_output();
  _exit(EG(exit_status));
}

void PhpThread::record_failure(Failure failure) noexcept {
  if (failed_) return;
  failed_ = true;
  failure_ = std::move(failure);
}

// What finds no memory is not logged.
void PhpThread::log_output(std::string_view text) noexcept try {
  while (!text.empty()) {
    const size_t room = kLongestLine - output_line_.size();
    const size_t newline = text.find('\n');
    if (newline == std::string_view::npos && text.size() < room) {
      output_line_.append(text);
      return;
    }
    const size_t take = std::min(newline == std::string_view::npos ? room : newline, room);
    output_line_.append(text.substr(0, take));
    text.remove_prefix(take);
    if (!text.empty() && text.front() == '\n') text.remove_prefix(1);
    if (!output_line_.empty() && output_line_.back() == '\r') output_line_.pop_back();
    if (!output_line_.empty()) log_script_output(*this, output_line_);
    output_line_.clear();
  }
} catch (const std::bad_alloc&) {
  output_line_.clear();
}

void PhpThread::flush_logged_output() noexcept {
  if (output_line_.empty()) return;
  log_script_output(*this, output_line_);
  output_line_.clear();
}

void install_interrupt_hook() {
  if (zend_interrupt_function == on_interrupt) return;
  earlier_interrupt = zend_interrupt_function;
  zend_interrupt_function = on_interrupt;
}

void remove_interrupt_hook() {
  if (zend_interrupt_function == on_interrupt) zend_interrupt_function = earlier_interrupt;
  earlier_interrupt = nullptr;
}

}  // namespace igor::sapi

// The C library's poll(), in which libphp and other libraries wait for sockets. When a signal has ended it they begin
// anew, so no nudge would ever reach the script: after an interrupt it fails as cancelled instead.
#pragma GCC visibility push(default)
extern "C" int poll(struct pollfd* descriptors, nfds_t count, int timeout) {
  static const auto next = reinterpret_cast<decltype(&::poll)>(dlsym(RTLD_NEXT, "poll"));
  const int ready = next(descriptors, count, timeout);
  if (ready < 0 && errno == EINTR) {
    const igor::sapi::PhpThread* const thread = igor::sapi::PhpThread::current();
    if (thread != nullptr && thread->interrupt.raised()) errno = ECANCELED;
  }
  return ready;
}
#pragma GCC visibility pop
