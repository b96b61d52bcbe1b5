#include "module/snapshot.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace igor {
namespace {

Payload bytes(const std::string& text) { return Payload::copy_of(text); }

std::string text(const Ref<const Snapshot>& snapshot) {
  return {reinterpret_cast<const char*>(snapshot->payload().data()), snapshot->payload().size()};
}

TEST(Snapshot, NothingBeforeTheFirstPublish) {
  SnapshotStore store;
  EXPECT_FALSE(store.latest());
  EXPECT_EQ(store.version(), 0u);
}

TEST(Snapshot, LatestIsWhatWasPublishedLast) {
  SnapshotStore store;
  EXPECT_TRUE(store.publish(bytes("one")));
  EXPECT_TRUE(store.publish(bytes("two")));
  EXPECT_EQ(text(store.latest()), "two");
  EXPECT_EQ(store.version(), 2u);
  EXPECT_EQ(store.latest()->version(), 2u);
}

TEST(Snapshot, PublishingTheSameChangesNothing) {
  SnapshotStore store;
  store.publish(bytes("same"));
  const Ref<const Snapshot> before = store.latest();
  EXPECT_FALSE(store.publish(bytes("same")));
  EXPECT_EQ(store.latest().get(), before.get());
  EXPECT_EQ(store.version(), 1u);
}

TEST(Snapshot, AnOldOneLivesAsLongAsItsReaders) {
  auto store = std::make_unique<SnapshotStore>();
  store->publish(bytes("old"));
  const Ref<const Snapshot> held = store->latest();
  store->publish(bytes("new"));
  store.reset();
  EXPECT_EQ(text(held), "old");
}

// Each snapshot is a run of one letter: a torn or freed one shows another, or sets the sanitizers off.
TEST(Snapshot, ReadersNeverSeeAnythingButAWholeOne) {
  SnapshotStore store;
  store.publish(bytes(std::string(64, 'a')));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  std::atomic<bool> broken{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      uint64_t last = 0;
      while (!stop) {
        const Ref<const Snapshot> snapshot = store.latest();
        const std::string seen = text(snapshot);
        if (seen.find_first_not_of(seen.front()) != std::string::npos || snapshot->version() < last) broken = true;
        last = snapshot->version();
        reads.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (int i = 1; i <= 20000; ++i) store.publish(bytes(std::string(64 + i % 7, static_cast<char>('a' + i % 26))));
  while (reads < 1000) std::this_thread::yield();
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_FALSE(broken);
  EXPECT_EQ(store.version(), 20001u);
}

}  // namespace
}  // namespace igor
