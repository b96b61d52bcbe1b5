#include "module/wakeup.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "module/activity.h"
#include "module/sync.h"

namespace igor {
namespace {

constexpr Duration kLongestSpin = std::chrono::microseconds(20);
constexpr Duration kShortestSpin = std::chrono::microseconds(1);
constexpr unsigned kProbeEvery = 16;  // waits between two attempts at the longest spin

// Spinning adapts to its success, per thread: hits let it go on for longer, misses cut it down, and
// now and then the longest spin is tried again, since a short one can't tell that a longer would do.
struct SpinBudget {
  Duration limit = kLongestSpin;
  unsigned misses = 0;

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

void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

}  // namespace

Wakeup::~Wakeup() {
  if (fd_ >= 0) close(fd_);
}

bool Wakeup::spin(Ticket ticket) const noexcept {
  if (!activity::worth_spinning()) return false;
  const TimePoint end = now() + budget.take();
  do {
    for (int i = 0; i < 8; ++i) {
      if ((word_.load(std::memory_order_acquire) & ~kSleeper) != ticket) {
        budget.hit();
        return true;
      }
      cpu_relax();
    }
  } while (now() < end && activity::worth_spinning());
  budget.miss();
  return false;
}

bool Wakeup::spin_before_poll(Ticket ticket) const noexcept {
  // A thread that polls 500 descriptors asks for each of them: one spin serves them all.
  thread_local TimePoint last_spin{};
  const TimePoint start = now();
  if (start - last_spin < 5 * kLongestSpin) return false;
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
}

void Wakeup::notify() noexcept {
  uint32_t word = word_.load(std::memory_order_relaxed);
  while (!word_.compare_exchange_weak(word, (word + 2) & ~kSleeper, std::memory_order_acq_rel)) {
  }
  if (word & kSleeper) futex_wake_all(word_);
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
