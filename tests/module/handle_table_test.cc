#include "module/handle_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace igor {
namespace {

using Table = HandleTable<std::shared_ptr<int>>;

TEST(HandleTable, FindsWhatWasPutInAndNothingElse) {
  Table table;
  const uint64_t one = table.insert(std::make_shared<int>(1)), two = table.insert(std::make_shared<int>(2));
  EXPECT_NE(one, 0u);
  EXPECT_NE(one, two);
  EXPECT_EQ(*table.find(one), 1);
  EXPECT_EQ(*table.find(two), 2);
  for (const uint64_t wrong : {uint64_t{0}, uint64_t{1}, two + 1, one ^ uint64_t{1} << 32, ~uint64_t{0}}) {
    EXPECT_FALSE(table.find(wrong)) << wrong;
    EXPECT_FALSE(table.take(wrong)) << wrong;
  }
  EXPECT_EQ(table.size(), 2u);
}

TEST(HandleTable, AStaleHandleNeverNamesTheNextInItsPlace) {
  Table table;
  std::set<uint64_t> stale;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t handle = table.insert(std::make_shared<int>(i));
    for (const uint64_t old : {*stale.insert(handle).first}) EXPECT_EQ(*table.find(old), i);
    EXPECT_EQ(*table.take(handle), i);
    EXPECT_FALSE(table.find(handle));
    EXPECT_FALSE(table.take(handle));
  }
  EXPECT_EQ(stale.size(), 1000u) << "no handle twice";
  const uint64_t living = table.insert(std::make_shared<int>(7));
  for (const uint64_t old : stale) EXPECT_FALSE(table.find(old));
  EXPECT_EQ(*table.find(living), 7);
  EXPECT_EQ(living & 0xffffffff, 1u) << "one place served them all";
}

TEST(HandleTable, WhatWasFoundOutlivesItsHandle) {
  Table table;
  const uint64_t handle = table.insert(std::make_shared<int>(5));
  const std::shared_ptr<int> found = table.find(handle);
  table.take(handle);
  EXPECT_EQ(*found, 5);
  EXPECT_EQ(found.use_count(), 1);
}

TEST(HandleTable, AllListsTheLivingWithTheirHandles) {
  Table table;
  const uint64_t one = table.insert(std::make_shared<int>(1));
  const uint64_t two = table.insert(std::make_shared<int>(2));
  table.take(one);
  const auto all = table.all();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].first, two);
  EXPECT_EQ(*all[0].second, 2);
}

TEST(HandleTable, ObjectsAreDestroyedOutsideOfTheLock) {
  // The destructor calls back into the table.
  struct CallsBack {
    explicit CallsBack(HandleTable<std::shared_ptr<CallsBack>>* of) : table(of) {}
    HandleTable<std::shared_ptr<CallsBack>>* table;
    ~CallsBack() { EXPECT_EQ(table->size(), 0u); }
  };
  HandleTable<std::shared_ptr<CallsBack>> table;
  const uint64_t handle = table.insert(std::make_shared<CallsBack>(&table));
  table.take(handle);
}

TEST(HandleTable, ThreadsMayDoAllOfItAtOnce) {
  Table table;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2'000; ++i) {
        const int value = t * 10'000 + i;
        const uint64_t handle = table.insert(std::make_shared<int>(value));
        ASSERT_EQ(*table.find(handle), value);
        ASSERT_EQ(*table.take(handle), value);
        ASSERT_FALSE(table.find(handle));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(table.size(), 0u);
}

}  // namespace
}  // namespace igor
