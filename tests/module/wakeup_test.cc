#include "module/wakeup.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace igor {
namespace {

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

TEST(Wakeup, NotifyBetweenTicketAndWaitIsNotLost) {
  Wakeup wakeup;
  const Wakeup::Ticket ticket = wakeup.ticket();
  wakeup.notify();
  wakeup.wait(ticket, kNever);  // would sleep for ever
  SUCCEED();
}

TEST(Wakeup, WaitEndsAtItsDeadline) {
  Wakeup wakeup;
  const TimePoint deadline = after(now(), std::chrono::milliseconds(5));
  while (now() < deadline) wakeup.wait(wakeup.ticket(), deadline);
  wakeup.wait(wakeup.ticket(), TimePoint{});       // long past
  wakeup.wait(wakeup.ticket(), TimePoint::min());  // before the clock's zero
  SUCCEED();
}

TEST(Wakeup, EveryNotifiedConditionIsSeen) {
  // Ping-pong over two wake-ups, the conditions under locks as their owners keep them: one lost
  // notification hangs it.
  constexpr int kRounds = 20'000;
  std::mutex mutex;
  int turn = 0;
  Wakeup wakeups[2];
  const auto player = [&](int me) {
    for (int round = 0; round < kRounds; ++round) {
      std::unique_lock lock(mutex);
      while (turn % 2 != me) {
        const Wakeup::Ticket ticket = wakeups[me].ticket();
        lock.unlock();
        wakeups[me].wait(ticket, kNever);
        lock.lock();
      }
      ++turn;
      lock.unlock();
      wakeups[1 - me].notify();
    }
  };
  std::thread other(player, 1);
  player(0);
  other.join();
  EXPECT_EQ(turn, 2 * kRounds);
}

TEST(Wakeup, OneNotifyWakesAllWhoSleep) {
  constexpr int kSleepers = 4;
  std::mutex mutex;
  bool ready = false;
  int waiting = 0;
  Wakeup wakeup;
  std::vector<std::thread> sleepers;
  for (int i = 0; i < kSleepers; ++i) {
    sleepers.emplace_back([&] {
      std::unique_lock lock(mutex);
      ++waiting;
      while (!ready) {
        const Wakeup::Ticket ticket = wakeup.ticket();
        lock.unlock();
        wakeup.wait(ticket, kNever);
        lock.lock();
      }
    });
  }
  for (std::unique_lock lock(mutex); waiting < kSleepers; lock.lock()) {
    lock.unlock();
    std::this_thread::yield();
  }
  {
    std::lock_guard lock(mutex);
    ready = true;
  }
  wakeup.notify();
  for (std::thread& sleeper : sleepers) sleeper.join();
}

TEST(Wakeup, AnAnnouncementWakesWhoSleeps) {
  using std::chrono::milliseconds;
  Wakeup wakeup;
  const Wakeup::Ticket ticket = wakeup.ticket();
  wakeup.announce(milliseconds(1));
  EXPECT_EQ(wakeup.ticket(), ticket) << "nobody sleeps, so nobody is woken";

  std::atomic<bool> woken{false};
  std::thread sleeper([&] {
    wakeup.wait(wakeup.ticket(), kNever);  // for a notification that never comes
    woken = true;
  });
  // One that comes before it sleeps passes it by.
  while (!woken) {
    wakeup.announce(milliseconds(1));
    std::this_thread::yield();
  }
  sleeper.join();
}

TEST(Wakeup, WhatWasAnnouncedIsSeen) {
  constexpr int kRounds = 5'000;
  std::mutex mutex;
  int sent = 0;
  Wakeup wakeup;
  std::thread receiver([&] {
    for (int received = 0; received < kRounds; ++received) {
      std::unique_lock lock(mutex);
      while (sent == received) {
        const Wakeup::Ticket ticket = wakeup.ticket();
        lock.unlock();
        wakeup.wait(ticket, kNever);
        lock.lock();
      }
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    wakeup.announce(std::chrono::microseconds(round % 100));
    {
      std::lock_guard lock(mutex);
      ++sent;
    }
    wakeup.notify();
    if (round % 16 == 0) std::this_thread::yield();
  }
  receiver.join();
}

TEST(Wakeup, InterruptRaisedBeforeTheWaitEndsIt) {
  Wakeup wakeup;
  Interrupt interrupt;
  interrupt.raise();
  wakeup.wait(wakeup.ticket(), kNever, &interrupt);
  EXPECT_TRUE(interrupt.raised());
}

TEST(Wakeup, DescriptorMirrorsTheLevelOnEdgesOnly) {
  Wakeup wakeup;
  EXPECT_FALSE(wakeup.has_fd());
  wakeup.set_level(true);  // no descriptor: nothing to do
  const int fd = wakeup.fd(true);
  ASSERT_GE(fd, 0);
  EXPECT_TRUE(wakeup.has_fd());
  EXPECT_TRUE(readable(fd));
  EXPECT_EQ(wakeup.fd(true), fd) << "made once";
  wakeup.set_level(true);
  wakeup.set_level(true);
  wakeup.set_level(false);  // one read takes it down, however often it was raised
  EXPECT_FALSE(readable(fd));
  wakeup.set_level(false);
  wakeup.set_level(true);
  EXPECT_TRUE(readable(fd));
  EXPECT_EQ(wakeup.fd(false), fd);
  EXPECT_FALSE(readable(fd));
}

TEST(Wakeup, DescriptorIsCloseOnExecAndNonBlockingAndClosedAtTheEnd) {
  int fd;
  {
    Wakeup wakeup;
    fd = wakeup.fd(false);
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  }
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST(Wakeup, SpinBeforePollSeesANotificationThatCame) {
  Wakeup wakeup;
  const Wakeup::Ticket ticket = wakeup.ticket();
  wakeup.notify();
  // Whether it spins at all depends on the machine; that it never claims a hit without cause does not.
  const Wakeup::Ticket quiet = wakeup.ticket();
  EXPECT_FALSE(wakeup.spin_before_poll(quiet));
  EXPECT_NE(ticket, quiet);
}

}  // namespace
}  // namespace igor
