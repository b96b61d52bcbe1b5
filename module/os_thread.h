// A kernel thread made for running foreign code: its stack size is explicit and asynchronous signals are
// blocked from its first instruction on.
//
// Why not std::thread: musl gives a thread 128 KiB of stack where an interpreter needs megabytes, and a
// signal that lands on such a thread would run its handlers instead of the host's. The mask is set in
// the creating thread around pthread_create, so there is no moment in which the new thread is exposed.
//
// SIGSEGV and the other synchronous faults stay unblocked, SIGPROF too (profilers), and so does the
// one nudge signal (see nudge()), whose handler does nothing: it exists to end a blocking system call
// with EINTR.
//
// It has a stack of its own for signal handlers, too: what has used up its stack can still say so.
//
// Owner: whoever made it; it must be joined or abandoned before it is destroyed. Any thread may call
// nudge() while the owner keeps the object alive and the thread has not been joined.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <cstddef>
#include <string_view>

#include "module/inline_function.h"

namespace igor {

class OsThread {
 public:
  static constexpr size_t kDefaultStackBytes = 16u << 20;  // reserved, not committed

  OsThread() = default;
  OsThread(const OsThread&) = delete;
  OsThread& operator=(const OsThread&) = delete;
  ~OsThread();

  // Starts `body` on a new thread. `name` shows in /proc and gdb, cut to 15 bytes. Returns 0 or errno
  // (EAGAIN when the system has no more threads to give, ENOMEM), in which case nothing was started.
  using Body = InlineFunction<64>;
  int start(std::string_view name, Body body, size_t stack_bytes = kDefaultStackBytes) noexcept;

  // Whether the calling thread is one of these: it runs no code of the host's.
  static bool is_current() noexcept;

  bool started() const noexcept { return started_; }
  void join();
  // Lets a thread that will not end go on by itself. What it uses must outlive the process's work.
  void abandon();
  // Interrupts a system call that the thread is blocked in. Harmless when it is not.
  void nudge() const noexcept;
  // The same for whoever knows the thread otherwise; it must not have ended.
  static void nudge(pthread_t thread) noexcept;

 private:
  pthread_t handle_{};
  bool started_ = false;
};

// The same signal mask for a stretch of a thread that somebody else has made.
class AsyncSignalsBlocked {
 public:
  AsyncSignalsBlocked() noexcept;
  ~AsyncSignalsBlocked();
  AsyncSignalsBlocked(const AsyncSignalsBlocked&) = delete;
  AsyncSignalsBlocked& operator=(const AsyncSignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace igor
