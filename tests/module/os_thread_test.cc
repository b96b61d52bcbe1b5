#include "module/os_thread.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

using test::Gate;

TEST(OsThread, HasTheStackItWasGiven) {
  OsThread thread;
  size_t size = 0;
  ASSERT_EQ(thread.start(
                "stack",
                [&] {
                  pthread_attr_t attributes;
                  pthread_getattr_np(pthread_self(), &attributes);
                  pthread_attr_getstacksize(&attributes, &size);
                  pthread_attr_destroy(&attributes);
                },
                3u << 20),
            0);
  EXPECT_TRUE(thread.started());
  thread.join();
  EXPECT_FALSE(thread.started());
  EXPECT_GE(size, 3u << 20);
  EXPECT_LT(size, 4u << 20);
}

TEST(OsThread, BlocksAsynchronousSignalsFromItsFirstInstruction) {
  sigset_t before, mask, after_start;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  OsThread thread;
  ASSERT_EQ(thread.start("mask", [&] { pthread_sigmask(SIG_SETMASK, nullptr, &mask); }), 0);
  thread.join();
  for (const int blocked : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGALRM, SIGPIPE, SIGURG, SIGQUIT}) {
    EXPECT_EQ(sigismember(&mask, blocked), 1) << strsignal(blocked);
  }
  for (const int open : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF}) {
    EXPECT_EQ(sigismember(&mask, open), 0) << strsignal(open);
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after_start);
  for (int signal = 1; signal < SIGRTMIN; ++signal) {
    EXPECT_EQ(sigismember(&before, signal), sigismember(&after_start, signal)) << "the starter's own mask, " << signal;
  }
}

TEST(OsThread, NudgeEndsABlockedRead) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::atomic<int> error{0};
  OsThread thread;
  ASSERT_EQ(thread.start("reader",
                         [&] {
                           char byte;
                           if (read(ends[0], &byte, 1) < 0) error = errno;
                         }),
            0);
  // A nudge that comes before the read does not end it: hence as often as it takes.
  test::eventually([&] {
    thread.nudge();
    return error.load() != 0;
  });
  thread.join();
  EXPECT_EQ(error.load(), EINTR);
  thread.nudge();  // joined: nothing
  close(ends[0]);
  close(ends[1]);
}

TEST(OsThread, IsNamedAndLongNamesAreCut) {
  OsThread thread;
  char name[16] = {};
  ASSERT_EQ(thread.start("a name that is longer than the kernel keeps",
                         [&] { pthread_getname_np(pthread_self(), name, sizeof name); }),
            0);
  thread.join();
  EXPECT_STREQ(name, "a name that is ");
}

TEST(OsThread, RefusalStartsNothing) {
  OsThread thread;
  EXPECT_NE(thread.start("none", [] { ADD_FAILURE(); }, 1), 0) << "one byte of stack";
  EXPECT_FALSE(thread.started());
  thread.join();
  thread.abandon();
}

TEST(OsThread, AnAbandonedOneGoesOnByItself) {
  Gate go, done;
  {
    OsThread thread;
    ASSERT_EQ(thread.start("abandoned",
                           [&] {
                             go.wait();
                             done.open();
                           }),
              0);
    thread.abandon();
    EXPECT_FALSE(thread.started());
  }
  go.open();
  done.wait();
}

TEST(OsThread, DyingWithARunningThreadIsLoud) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_DEATH(
      {
        OsThread thread;
        thread.start("left", [] {
          for (;;) pause();
        });
      },
      "");
}

}  // namespace
}  // namespace igor
