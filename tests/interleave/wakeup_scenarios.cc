// Sleeping and waking: Wakeup (an eventcount) and Interrupt.
#include "module/interrupt.h"
#include "module/wakeup.h"
#include "tests/interleave/scenarios.h"

namespace igor::interleave {
namespace {

using std::chrono::milliseconds;

// A condition and its wake-up, used as wakeup.h says.
class Shelf {
 public:
  void put() {
    {
      std::lock_guard lock(mutex_);
      ++things_;
      wakeup_.set_level(true);
    }
    wakeup_.notify();
  }
  bool take(TimePoint deadline = kNever, Interrupt* interrupt = nullptr) {
    std::unique_lock lock(mutex_);
    while (things_ == 0) {
      if (interrupted(interrupt) || (deadline != kNever && now() >= deadline)) return false;
      const Wakeup::Ticket ticket = wakeup_.ticket();
      lock.unlock();
      wakeup_.wait(ticket, deadline, interrupt);
      lock.lock();
    }
    --things_;
    wakeup_.set_level(things_ > 0);
    return true;
  }
  int fd() {
    std::lock_guard lock(mutex_);
    return wakeup_.fd(things_ > 0);
  }
  int things() {
    std::lock_guard lock(mutex_);
    return things_;
  }
  Wakeup& wakeup() { return wakeup_; }

 private:
  Mutex mutex_;
  Wakeup wakeup_;
  int things_ = 0;
};

void one_waits_one_notifies() {
  Shelf shelf;
  {
    Thread waiter("waiter", [&] { shelf.take(); });
    Thread notifier("notifier", [&] { shelf.put(); });
  }
  require(shelf.things() == 0, "nothing is left");
}

void two_wait_two_notify() {
  Shelf shelf;
  {
    Thread one("waiter-1", [&] { shelf.take(); }), other("waiter-2", [&] { shelf.take(); });
    Thread first("notifier-1", [&] { shelf.put(); }), second("notifier-2", [&] { shelf.put(); });
  }
  require(shelf.things() == 0, "nothing is left");
}

// An announcement wakes who waits, and is no notification.
void announced_before_it_comes() {
  Shelf shelf;
  {
    Thread waiter("waiter", [&] { shelf.take(); });
    Thread notifier("notifier", [&] {
      shelf.wakeup().announce(milliseconds(1));
      shelf.put();
    });
  }
  require(shelf.things() == 0, "nothing is left");
}

void announced_and_never_coming() {
  Shelf shelf;
  bool taken = true;
  {
    Thread waiter("waiter", [&] { taken = shelf.take(after(now(), milliseconds(1))); });
    Thread notifier("notifier", [&] { shelf.wakeup().announce(milliseconds(1)); });
  }
  require(!taken && shelf.things() == 0, "nothing came");
}

void wait_with_a_deadline() {
  Shelf shelf;
  bool taken = false;
  {
    Thread waiter("waiter", [&] { taken = shelf.take(after(now(), milliseconds(1))); });
    Thread notifier("notifier", [&] { shelf.put(); });
  }
  require(shelf.things() == (taken ? 0 : 1), "it was taken or is there");
}

void interrupt_against_sleep() {
  Shelf shelf;
  Interrupt interrupt;
  {
    Thread waiter("waiter", [&] { require(!shelf.take(kNever, &interrupt), "there was nothing to take"); });
    Thread raiser("raiser", [&] { interrupt.raise(); });
  }
  require(interrupt.raised(), "it stays up until it is cleared");
}

void interrupt_against_notification() {
  Shelf shelf;
  Interrupt interrupt;
  bool taken = false;
  {
    Thread waiter("waiter", [&] {
      taken = shelf.take(kNever, &interrupt);
      // The next wait is ended by the same interrupt.
      if (taken) require(!shelf.take(kNever, &interrupt), "there was one thing only");
    });
    Thread raiser("raiser", [&] { interrupt.raise(); });
    Thread notifier("notifier", [&] { shelf.put(); });
  }
  require(shelf.things() == (taken ? 0 : 1), "it was taken or is there");
}

// Two threads with an interrupt each sleep on one wake-up: each is reached by its own.
void two_interrupts_on_one_wakeup() {
  Shelf shelf;
  Interrupt own, others;
  {
    Thread one("waiter-1", [&] { shelf.take(kNever, &own); });
    Thread other("waiter-2", [&] { shelf.take(kNever, &others); });
    own.raise();
    others.raise();
  }
}

// The descriptor's level is the condition's, whenever the lock is free.
void descriptor_follows_the_condition() {
  Shelf shelf;
  const int fd = shelf.fd();
  {
    Thread poller("poller", [&] {
      for (int i = 0; i < 2; ++i) {
        poll(fd);
        require(shelf.take(TimePoint{}), "what is readable can be taken: nobody else takes");
      }
    });
    Thread putter("putter", [&] { shelf.put(), shelf.put(); });
  }
  require(!readable(shelf.fd()), "nothing is left, and the descriptor says so");
}

void descriptor_with_two_takers() {
  Shelf shelf;
  shelf.put();
  shelf.put();
  const int fd = shelf.fd();
  {
    Thread one("taker-1", [&] { shelf.take(TimePoint{}); });
    Thread other("taker-2", [&] { shelf.take(TimePoint{}); });
    Thread putter("putter", [&] { shelf.put(); });
    Thread poller("poller", [&] { poll(fd); });
  }
  require(readable(fd) == (shelf.things() > 0), "the descriptor's level is the condition's");
}

}  // namespace

std::vector<Scenario> wakeup_scenarios() {
  return {
      {"OneWaitsOneNotifies", all_orders(5), one_waits_one_notifies},
      {"TwoWaitTwoNotify", preemptions(3, 500), two_wait_two_notify},
      {"AnnouncedBeforeItComes", all_orders(10), announced_before_it_comes},
      {"AnnouncedAndNeverComing", all_orders(5), announced_and_never_coming},
      {"WaitWithADeadline", all_orders(10), wait_with_a_deadline},
      {"InterruptAgainstSleep", all_orders(10), interrupt_against_sleep},
      {"InterruptAgainstNotification", all_orders(100), interrupt_against_notification},
      {"TwoInterruptsOnOneWakeup", preemptions(3, 1000), two_interrupts_on_one_wakeup},
      {"DescriptorFollowsTheCondition", all_orders(2), descriptor_follows_the_condition},
      {"DescriptorWithTwoTakers", all_orders(6), descriptor_with_two_takers},
  };
}

}  // namespace igor::interleave
