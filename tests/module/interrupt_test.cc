#include "module/interrupt.h"

#include <atomic>
#include <thread>

#include "module/wakeup.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using test::Gate;

TEST(Interrupt, StaysUpUntilCleared) {
  Interrupt interrupt;
  EXPECT_FALSE(interrupted(&interrupt));
  EXPECT_FALSE(interrupted(nullptr));
  interrupt.raise();
  interrupt.raise();
  EXPECT_TRUE(interrupted(&interrupt));
  interrupt.clear();
  EXPECT_FALSE(interrupted(&interrupt));
}

TEST(Interrupt, EndsAWaitWheneverItComes) {
  // The raise falls before, into and after the registration of the sleep, as the scheduler wills.
  for (int round = 0; round < 2'000; ++round) {
    Wakeup wakeup;
    Interrupt interrupt;
    std::thread raiser([&] { interrupt.raise(); });
    while (!interrupt.raised()) wakeup.wait(wakeup.ticket(), kNever, &interrupt);
    raiser.join();
  }
}

TEST(Interrupt, DoesNotTouchAWakeupWhoseWaitIsOver) {
  // The wake-up dies while the other thread raises: a use after free shows under the sanitizers.
  Interrupt interrupt;
  std::atomic<bool> done{false};
  std::thread raiser([&] {
    while (!done) interrupt.raise();
  });
  for (int round = 0; round < 2'000; ++round) {
    interrupt.clear();
    auto wakeup = std::make_unique<Wakeup>();
    wakeup->wait(wakeup->ticket(), after(now(), std::chrono::microseconds(50)), &interrupt);
  }
  done = true;
  raiser.join();
}

TEST(Interrupt, EndsABlockedReadAndLeavesTheTaskAlone) {
  Gate reading;
  test::FakeHost host;
  const auto pool = Pool::create(test::options_of(0), host);
  const auto task = Ref<Task>::adopt(new Task(pool, Payload(), 0));
  Interrupt interrupt;
  std::thread sender([&] {
    Payload update;
    reading.open();
    EXPECT_EQ(task->read(update, kNever, &interrupt), Task::ReadResult::Interrupted);
  });
  reading.wait();
  interrupt.raise();
  sender.join();
  EXPECT_FALSE(task->ended());
}

}  // namespace
}  // namespace igor
