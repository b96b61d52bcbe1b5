// Opcache starts over when its memory is full: it forgets every cached script and uses the memory anew. It may
// do so only while no script runs, and asks file locks of whole processes whether one does; within one process
// those say "none" however many threads are in the middle of a script, whose code is then overwritten.
//
// This gate makes the answer right, and brings the moment about:
// - It holds a lock of its own on opcache's lock file, one that belongs to an open file, not to the process (see
//   fcntl(2), open file description locks). While it does, opcache sees a user and puts its restart off; scripts are
//   compiled without the cache meanwhile, which is slow and right.
// - When opcache has asked for a restart the gate closes: workers are told to start afresh, new scripts wait, and once
//   the last one that ran has ended, the first that waits goes in alone. The engine restarts opcache in that
//   script's request startup; then the gate opens.
// - Where some script does not end within kPatience the gate opens all the same, and tries again later, ever more
//   seldom.
//
// Costs one atomic addition at a script's start and one at its end.
//
// Threads: enter(), started() and leave() by each thread that runs a script, in this order, around request startup
// and after request shutdown; want_restart() from
// within a script (opcache's hook: it may hold opcache's own locks, so only a timer is set there); open() and close()
// while no script runs. A try that the timers' thread has begun may go on a moment after close(). Locks: one mutex,
// under which the timers' is taken. Knows nothing of the engine: it is tested without.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "module/clock.h"
#include "module/timers.h"

namespace igor::sapi {

class OpcacheGate {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(2);
  static constexpr Duration kSoonest = std::chrono::seconds(10);  // between two tries, doubled up to kLatest
  static constexpr Duration kLatest = std::chrono::minutes(5);

  static OpcacheGate& instance();

  // A copy of opcache's lock file as another open file, or -1 with errno (ENOENT: opcache is off).
  static int find_lock_file();

  // `lock_file` becomes the gate's; -1: opcache is off, and the gate does nothing. `end_long_runs` is called on the
  // timers' thread, to make scripts end that would run for ever.
  void open(int lock_file, std::function<void()> end_long_runs);
  void close();

  // Waits while the gate is closed. True: this script is alone until it says started().
  bool enter();
  // What enter() said, and whether request startup came to its end (and so to opcache).
  void started(bool alone, bool succeeded);
  void leave();

  void want_restart();

  // For tests and reports.
  uint64_t restarts() const noexcept { return restarts_.load(std::memory_order_relaxed); }

 private:
  using Lock = std::unique_lock<std::mutex>;
  static constexpr uint32_t kClosed = 1;
  static constexpr uint32_t kOneScript = 2;

  void try_now();
  void reopen(const Lock&);
  void try_later(const Lock&);
  void hold_file(bool hold) noexcept;
  bool closed() const noexcept { return (state_.load(std::memory_order_acquire) & kClosed) != 0; }
  bool nobody_runs() const noexcept { return state_.load(std::memory_order_acquire) < kOneScript; }

  // Bit 0: closed; above it the number of scripts that run. Bit 0 changes under mutex_ only.
  std::atomic<uint32_t> state_{0};
  std::atomic<uint64_t> restarts_{0};
  std::atomic<bool> wanted_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  int lock_file_ = -1;
  std::function<void()> end_long_runs_;
  bool somebody_alone_ = false;
  TimePoint patience_ends_{};
  Duration pause_ = kSoonest;
  Timers::Id timer_ = 0;
};

}  // namespace igor::sapi
