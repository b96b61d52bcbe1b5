// Ends the waits of one thread from outside: the way to reach a script that sleeps inside a task call.
//
// Each script thread has one. raise() sets a flag that every wait loop checks and wakes the wait in
// progress, if any; the flag stays up until clear(), so a raise between two waits is seen by the next.
// The thread registers what it sleeps on (Sleep, made by Wakeup::wait) only on the slow path.
//
// Locks: a mutex of its own, a leaf. raise() from any thread; the rest on the thread it belongs to.
#pragma once

#include "module/sync.h"

namespace igor {

class Wakeup;

class Interrupt {
 public:
  void raise() noexcept;
  void clear() noexcept { raised_.store(false, std::memory_order_release); }
  bool raised() const noexcept { return raised_.load(std::memory_order_acquire); }

  // While alive, raise() also notifies `wakeup`.
  class Sleep {
   public:
    Sleep(Interrupt* interrupt, Wakeup& wakeup) noexcept;
    ~Sleep();

   private:
    Interrupt* interrupt_;
  };

 private:
  Atomic<bool> raised_{false};
  Mutex mutex_;
  Wakeup* sleeping_on_ = nullptr;
};

// For wait predicates: an interrupt is optional there.
inline bool interrupted(const Interrupt* interrupt) noexcept {
  return interrupt != nullptr && interrupt->raised();
}

}  // namespace igor
