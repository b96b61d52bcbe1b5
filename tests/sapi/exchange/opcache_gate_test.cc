// The gate for opcache's restarts, with a lock file as opcache makes it and scripts that are plain functions.
#include "sapi/opcache_gate.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "tests/module/fake_host.h"

namespace igor::sapi {
namespace {

using igor::test::eventually;
using igor::test::Gate;

// Opcache's side: the file, and its question whether anybody uses the memory.
class Opcache {
 public:
  Opcache() : lock_file_(memfd_create("opcache_lock", MFD_CLOEXEC)) {}
  ~Opcache() { close(lock_file_); }

  bool may_restart() const {
    struct flock usage = {};
    usage.l_type = F_WRLCK;
    usage.l_whence = SEEK_SET;
    usage.l_start = 1;
    usage.l_len = 1;
    EXPECT_EQ(fcntl(lock_file_, F_GETLK, &usage), 0);
    // Nothing that opcache might kill for holding it.
    if (usage.l_type != F_UNLCK) {
      EXPECT_LE(usage.l_pid, 0);
    }
    return usage.l_type == F_UNLCK;
  }

 private:
  const int lock_file_;
};

class OpcacheGateTest : public testing::Test {
 protected:
  OpcacheGateTest() {
    const int lock_file = OpcacheGate::find_lock_file();
    EXPECT_GE(lock_file, 0);
    gate.open(lock_file, [this] {
      ++told_to_end;
      told.open();
    });
  }
  ~OpcacheGateTest() override {
    gate.close();
    // What the timers' thread had begun uses what goes now; the gate of a server stays for ever.
    auto through = std::make_shared<Gate>();
    Timers::global().schedule(now(), [through] { through->open(); });
    through->wait();
  }

  // As a thread does; what runs inside gets whether it was alone.
  template <typename Startup, typename Script>
  void run(Startup&& startup, Script&& script) {
    const bool alone = gate.enter();
    startup(alone);
    gate.started(alone, true);
    script();
    gate.leave();
  }

  Opcache opcache;
  OpcacheGate gate;
  std::atomic<int> told_to_end{0};
  Gate told;
};

TEST(OpcacheGate, WithoutOpcacheThereIsNoLockFileAndNothingToDo) {
  EXPECT_LT(OpcacheGate::find_lock_file(), 0);
  EXPECT_EQ(errno, ENOENT);
  OpcacheGate gate;
  gate.open(-1, nullptr);
  gate.want_restart();
  EXPECT_FALSE(gate.enter());
  gate.started(false, true);
  gate.leave();
  gate.close();
}

TEST_F(OpcacheGateTest, OpcacheSeesAUserAlways) {
  EXPECT_FALSE(opcache.may_restart());
  run([&](bool alone) { EXPECT_FALSE(alone); }, [&] { EXPECT_FALSE(opcache.may_restart()); });
  gate.close();
  EXPECT_TRUE(opcache.may_restart());
}

TEST_F(OpcacheGateTest, ARestartWaitsForTheLastScriptAndHappensAlone) {
  Gate running, end;
  std::thread longest([&] {
    run([](bool) {},
        [&] {
          running.open();
          end.wait();
        });
  });
  running.wait();
  run([](bool) {}, [&] { gate.want_restart(); });
  told.wait();  // closed
  std::atomic<int> entered{0}, alone_ones{0};
  std::vector<std::thread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      run(
          [&](bool alone) {
            alone_ones += alone;
            EXPECT_EQ(opcache.may_restart(), alone);
            if (alone) {
              EXPECT_EQ(entered, 0);
            }
            ++entered;
          },
          [&] { EXPECT_FALSE(opcache.may_restart()); });
    });
  }
  EXPECT_EQ(entered, 0);
  end.open();
  longest.join();
  for (std::thread& other : others) other.join();
  EXPECT_EQ(alone_ones, 1);
  EXPECT_EQ(gate.restarts(), 1u);
  EXPECT_EQ(told_to_end, 1);
}

TEST_F(OpcacheGateTest, AScriptThatDoesNotEndHoldsUpNobodyForLong) {
  Gate running, end;
  std::thread longest([&] {
    run([](bool) {},
        [&] {
          gate.want_restart();
          running.open();
          end.wait();
        });
  });
  running.wait();
  told.wait();
  run([](bool alone) { EXPECT_FALSE(alone); }, [&] { EXPECT_FALSE(opcache.may_restart()); });
  EXPECT_EQ(gate.restarts(), 0u);
  end.open();
  longest.join();
}

TEST_F(OpcacheGateTest, AStartThatFailedIsNoRestart) {
  gate.want_restart();
  told.wait();
  EXPECT_TRUE(gate.enter());
  gate.started(true, false);
  gate.leave();
  EXPECT_EQ(gate.restarts(), 0u);
  EXPECT_FALSE(opcache.may_restart());
  EXPECT_FALSE(gate.enter()) << "it is tried again later";
  gate.started(false, true);
  gate.leave();
}

TEST_F(OpcacheGateTest, UnderLoadNoScriptEverMeetsARestart) {
  constexpr int kThreads = 8;
  constexpr uint64_t kRestarts = 40;
  std::atomic<bool> restarting{false};
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(static_cast<unsigned>(i));
      while (gate.restarts() < kRestarts) {
        run(
            [&](bool alone) {
              if (alone) {
                restarting = true;
                EXPECT_EQ(inside, 0);
                std::this_thread::yield();
                EXPECT_EQ(inside, 0);
                restarting = false;
              }
              ++inside;
            },
            [&] {
              EXPECT_FALSE(restarting);
              if (random() % 16 == 0) gate.want_restart();
              if (random() % 2 == 0) std::this_thread::yield();
              EXPECT_FALSE(restarting);
              --inside;
            });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(gate.restarts(), kRestarts);
}

}  // namespace
}  // namespace igor::sapi
