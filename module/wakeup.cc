#include "module/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "module/activity.h"
#include "module/sync.h"

namespace igor {
namespace {

// As long as it takes to wake a thread that sleeps, on another CPU that is idle, and for that thread to do a small
// piece of work: the sender of a task spins through it all instead of going to sleep itself.
constexpr Duration kLongestSpin = std::chrono::microseconds(50);
constexpr Duration kShortestSpin = std::chrono::microseconds(1);
constexpr unsigned kProbeEvery = 16;  // waits between two attempts at the longest spin
// Between two looks at the clock of one that spins: it did not have its CPU for itself.
constexpr Duration kDisturbed = std::chrono::microseconds(10);
constexpr Duration kSameSeries = std::chrono::microseconds(100);

// Spinning adapts to its success, per thread: hits let it go on for longer, misses cut it down, and
// now and then the longest spin is tried again, since a short one can't tell that a longer would do.
struct SpinBudget {
  Duration limit = kLongestSpin;
  unsigned misses = 0;
  int notifier_cpu = -1;  // of who has notified this thread last, on whatever wake-up

  Duration take() const noexcept { return misses % kProbeEvery == kProbeEvery - 1 ? kLongestSpin : limit; }
  void hit() noexcept {
    limit = kLongestSpin;
    misses = 0;
  }
  void miss() noexcept {
    ++misses;
    limit = limit / 2 > kShortestSpin ? limit / 2 : kShortestSpin;
  }
};
thread_local SpinBudget budget;

}  // namespace

Wakeup::~Wakeup() {
  if (fd_ >= 0) close(fd_);
}

bool Wakeup::spin(Ticket ticket) const noexcept {
  if (!activity::worth_spinning()) return false;
  // A notifier that shares the CPU with this thread can't come while it spins. That it did so the last time is
  // known without a trial, and by how it comes the next time, whether it still does.
  const int notifier_cpu = notifier_cpu_.get() >= 0 ? notifier_cpu_.get() : budget.notifier_cpu;
  if (notifier_cpu >= 0 && notifier_cpu == activity::current_cpu()) return false;
  TimePoint at = now(), before;
  const TimePoint by_experience = at + budget.take(), announced = expected_.get();
  const TimePoint end = std::max(by_experience, announced);
  do {
    for (int i = 0; i < 8; ++i) {
      if ((word_.load(std::memory_order_acquire) & ~kSleeper) != ticket) {
        budget.hit();
        return true;
      }
      cpu_relax();
    }
    before = at;
    at = now();
  } while (at < end && at - before < kDisturbed && activity::worth_spinning());
  if (announced < by_experience) budget.miss();
  return false;
}

bool Wakeup::spin_before_poll(Ticket ticket) const noexcept {
  // A thread that polls 500 descriptors asks for each of them: one spin serves them all.
  thread_local TimePoint last_spin{};
  const TimePoint start = now();
  if (start - last_spin < kSameSeries) return false;
  const bool hit = spin(ticket);
  // After a hit the thread had something to do: the next call is a new wait.
  last_spin = hit ? TimePoint{} : now();
  return hit;
}

void Wakeup::wait(Ticket ticket, TimePoint deadline, Interrupt* interrupt) noexcept {
  if (spin(ticket)) return;
  Interrupt::Sleep sleep(interrupt, *this);
  // After registering: a raise before it is seen here, one after it changes the word.
  if (interrupted(interrupt)) return;
  uint32_t word = word_.load(std::memory_order_acquire);
  do {
    if ((word & ~kSleeper) != ticket) return;
  } while (!word_.compare_exchange_weak(word, word | kSleeper, std::memory_order_acq_rel));
  activity::idle_begin();
  futex_wait(word_, ticket | kSleeper, deadline);
  activity::idle_end();
  budget.notifier_cpu = notifier_cpu_.get();
}

void Wakeup::notify() noexcept {
  notifier_cpu_.set(activity::current_cpu());
  uint32_t word = word_.load(std::memory_order_relaxed);
  while (!word_.compare_exchange_weak(word, (word + 2) & ~kSleeper, std::memory_order_acq_rel)) {
  }
  if (word & kSleeper) futex_wake_all(word_);
}

void Wakeup::announce(Duration soon) noexcept {
  if ((word_.load(std::memory_order_relaxed) & kSleeper) == 0) return;
  expected_.set(after(now(), soon));
  notify();
}

int Wakeup::fd(bool ready) noexcept {
  if (fd_ < 0) {
    fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd_ < 0) return -1;
    raised_ = false;
  }
  set_level(ready);
  return fd_;
}

void Wakeup::set_level(bool ready) noexcept {
  if (fd_ < 0 || raised_ == ready) return;
  uint64_t value = 1;
  // EINTR: a nudge may hit this very call. Nothing else can fail on an eventfd whose counter is 0 or 1.
  if (ready) {
    while (write(fd_, &value, sizeof value) < 0 && errno == EINTR) {
    }
  } else {
    while (read(fd_, &value, sizeof value) < 0 && errno == EINTR) {
    }
  }
  raised_ = ready;
}

}  // namespace igor
