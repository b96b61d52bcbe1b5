#include "module/snapshot.h"

#include <thread>
#include <vector>

#include "module/pool.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using test::FakeHost;
using test::options_of;
using test::payload_of;
using test::Script;
using test::TestPool;
using test::text_of;
using SendResult = Pool::SendResult;

TEST(Snapshot, NothingBeforeTheFirst) {
  SnapshotStore store;
  EXPECT_FALSE(store.latest());
  EXPECT_EQ(store.version(), 0u);
}

TEST(Snapshot, TheLatestReplacesTheOneBefore) {
  SnapshotStore store;
  EXPECT_TRUE(store.publish(payload_of("one")));
  const auto one = store.latest();
  EXPECT_EQ(text_of(one->payload()), "one");
  EXPECT_EQ(one->version(), 1u);
  EXPECT_TRUE(store.publish(payload_of("two")));
  EXPECT_EQ(text_of(store.latest()->payload()), "two");
  EXPECT_EQ(store.version(), 2u);
  EXPECT_EQ(text_of(one->payload()), "one") << "who has it keeps it";
}

TEST(Snapshot, TheSameBytesChangeNothing) {
  SnapshotStore store;
  EXPECT_TRUE(store.publish(payload_of("same")));
  const auto before = store.latest();
  EXPECT_FALSE(store.publish(payload_of("same")));
  EXPECT_EQ(store.latest().get(), before.get());
  EXPECT_EQ(store.version(), 1u);
  EXPECT_TRUE(store.publish(payload_of("sam")));
  EXPECT_TRUE(store.publish(Payload()));
  EXPECT_FALSE(store.publish(Payload()));
}

TEST(Snapshot, AReaderOutlivesTheStore) {
  Ref<const Snapshot> kept;
  {
    SnapshotStore store;
    store.publish(payload_of("kept"));
    kept = store.latest();
  }
  EXPECT_EQ(text_of(kept->payload()), "kept");
}

struct CountedView final : SnapshotView {
  explicit CountedView(std::atomic<int>& its_alive) : alive(its_alive) { ++alive; }
  ~CountedView() override { --alive; }
  std::atomic<int>& alive;
};

TEST(Snapshot, AViewIsMadeOnceForAllReadersAndGoesWithTheSnapshot) {
  std::atomic<int> alive{0};
  {
    SnapshotStore store;
    store.publish(payload_of("seen"));
    std::atomic<int> made{0};
    const auto make = [&](const Payload& payload) {
      ++made;
      EXPECT_EQ(text_of(payload), "seen");
      return std::make_unique<CountedView>(alive);
    };
    EXPECT_EQ(store.latest()->view([](const Payload&) { return nullptr; }), nullptr) << "no memory for it now";
    std::vector<const SnapshotView*> seen(4);
    std::vector<std::thread> readers;
    for (const SnapshotView*& view : seen) {
      readers.emplace_back([&] { view = store.latest()->view(make); });
    }
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(made, 1);
    const auto kept = store.latest();
    for (const SnapshotView* view : seen) EXPECT_EQ(view, kept->view(make));
    store.publish(payload_of("next"));
    EXPECT_EQ(store.latest()->view([](const Payload&) { return nullptr; }), nullptr) << "has its own";
    EXPECT_EQ(alive, 1) << "who has the snapshot has its view";
  }
  EXPECT_EQ(alive, 0);
}

TEST(Snapshot, ReadersSeeWholeSnapshotsInOrderWhileTheyAreReplaced) {
  // A lost reference is a use after free, one too many a leak: the sanitizers tell.
  constexpr uint64_t kVersions = 20'000;
  SnapshotStore store;
  store.publish(payload_of("1 1"));
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      uint64_t last = 0;
      while (last < kVersions) {
        std::vector<Ref<const Snapshot>> held;
        for (int n = 0; n < 3; ++n) held.push_back(store.latest());
        for (const auto& snapshot : held) {
          ASSERT_GE(snapshot->version(), last) << "back in time";
          last = snapshot->version();
          const std::string number = std::to_string(last);
          ASSERT_EQ(text_of(snapshot->payload()), number + " " + number);
        }
      }
    });
  }
  for (uint64_t version = 2; version <= kVersions; ++version) {
    const std::string number = std::to_string(version);
    ASSERT_TRUE(store.publish(payload_of(number + " " + number)));
  }
  for (std::thread& reader : readers) reader.join();
}

// --- through a pool ----------------------------------------------------------------------------------

TEST(PoolSnapshot, LookingStartsALazyPoolAndWaitsForTheFirst) {
  FakeHost host([](Script& script) {
    script.slot.pool().publish(script.slot, payload_of("v"));
    return script.echo();
  });
  TestPool pool(options_of(0), host);
  const Pool::Look look = pool->look(kNever, nullptr);
  ASSERT_EQ(look.result, SendResult::Accepted);
  EXPECT_EQ(text_of(look.snapshot->payload()), "v");
  EXPECT_EQ(pool->stats().threads, 1u);
  EXPECT_EQ(pool->stats().ready, 1u) << "who publishes is ready";
}

TEST(PoolSnapshot, TheDeadlineAndAnInterruptEndTheWait) {
  FakeHost host;  // never publishes
  TestPool pool(options_of(0), host);
  EXPECT_EQ(pool->look(TimePoint{}, nullptr).result, SendResult::TimedOut);
  EXPECT_EQ(pool->look(after(now(), std::chrono::milliseconds(2)), nullptr).result, SendResult::TimedOut);
  Interrupt interrupt;
  std::thread looker([&] { EXPECT_EQ(pool->look(kNever, &interrupt).result, SendResult::Interrupted); });
  interrupt.raise();
  looker.join();
}

TEST(PoolSnapshot, ADrainAndAWorkerThatFailsAtItsStartEndTheWait) {
  {
    FakeHost host;
    TestPool pool(options_of(1), host);
    test::start_and_wait(*pool);
    std::thread looker([&] { EXPECT_EQ(pool->look(kNever, nullptr).result, SendResult::ShuttingDown); });
    pool.drain();
    looker.join();
  }
  FakeHost host([](Script&) { return test::crash(Reason::UncaughtException, "no vars"); });
  PoolOptions options = options_of(0);
  options.supervision.backoff_min = options.supervision.backoff_max = std::chrono::hours(1);
  TestPool pool(options, host);
  const Pool::Look look = pool->look(kNever, nullptr);
  EXPECT_EQ(look.result, SendResult::WorkerFailed);
  EXPECT_EQ(look.failure.message, "no vars");
}

TEST(PoolSnapshot, AStaleOneStaysReadableWhileTheWorkerIsDownAndAfterTheDrain) {
  FakeHost host([](Script& script) {
    script.slot.pool().publish(script.slot, payload_of("stale"));
    return test::crash();
  });
  PoolOptions options = options_of(1);
  options.supervision = {std::chrono::hours(1), std::chrono::hours(1), 1};
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error));
  test::eventually([&] { return pool->stats().restarting == 1; });
  EXPECT_EQ(text_of(pool->look(TimePoint{}, nullptr).snapshot->payload()), "stale");
  pool.drain();
  EXPECT_EQ(text_of(pool->look(TimePoint{}, nullptr).snapshot->payload()), "stale");
}

}  // namespace
}  // namespace igor
