// One side's wake-up: a thread sleeps on it in a futex, an event loop through a descriptor.
//
// It is an eventcount. The owner of a condition keeps it under a lock; a waiter that finds the condition
// false takes a ticket() under that same lock, drops the lock and calls wait(ticket); whoever makes
// the condition true does so under the lock and then calls notify(). A notification between ticket and
// sleep changes the word, so wait() returns at once: none is lost. wait() may return without cause;
// callers loop on their condition.
//
// The word: bit 0 says that a thread sleeps (so that notify() makes no system call when none does), the
// other 31 bits count notifications. A waiter would have to sleep through exactly 2^31 notifications
// between its ticket and its futex call to miss one.
//
// The descriptor (an eventfd) is made when fd() is first called and mirrors the condition's level: the
// owner calls set_level() under its lock whenever the condition may have changed, and a system call
// happens on the edges only. It is non-blocking and close-on-exec, and closed by the destructor.
//
// Threads: ticket, wait and notify from any; fd and set_level under the owner's lock. Before a thread
// sleeps it spins for a short, adaptive time (see activity.h).
#pragma once

#include <cstdint>

#include "module/clock.h"
#include "module/interrupt.h"
#include "module/sync.h"

namespace igor {

class Wakeup {
 public:
  using Ticket = uint32_t;

  Wakeup() = default;
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;
  ~Wakeup();

  Ticket ticket() const noexcept { return word_.load(std::memory_order_acquire) & ~kSleeper; }

  // Returns after a notify() since the ticket, at the deadline, when the interrupt is raised, or
  // without cause.
  void wait(Ticket ticket, TimePoint deadline, Interrupt* interrupt = nullptr) noexcept;

  void notify() noexcept;

  // Says that notify() is likely to follow within `soon`: whoever sleeps here is woken now, which takes fifty
  // microseconds, and then spins for so long instead of sleeping again. To waiters it is a wake-up without cause. For
  // callers to whom spinning is worth it (activity.h). Any thread, without the owner's lock.
  void announce(Duration soon) noexcept;

  // For a thread about to sleep on the descriptor: true when a notification came within a short spin.
  // Cheap when called for many wake-ups in a row: only the first of such a series spins.
  bool spin_before_poll(Ticket ticket) const noexcept;

  // The descriptor, readable iff `ready`, made now if need be. -1 with errno when out of descriptors.
  int fd(bool ready) noexcept;
  void set_level(bool ready) noexcept;
  bool has_fd() const noexcept { return fd_ >= 0; }

 private:
  static constexpr uint32_t kSleeper = 1;

  bool spin(Ticket ticket) const noexcept;

  Atomic<uint32_t> word_{0};
  Hint<int> notifier_cpu_{-1};             // where the last notification came from
  Hint<TimePoint> expected_{TimePoint{}};  // until when one that was announced is waited for
  int fd_ = -1;
  bool raised_ = false;
};

}  // namespace igor
