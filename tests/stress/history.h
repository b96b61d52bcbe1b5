// The history of a pool's tasks, and the check that it is one that may be.
//
// Three witnesses write it: the pool's observer (each transition, under the task's lock, so in its order),
// the worker (updates sent) and the sender (what it read). After the pool was drained check() proves, for
// every task: accepted first and once; started at most once; ended exactly once, and nothing after that;
// refused senders left no trace; updates arrived in order, and, unless the sender cancelled, every one that
// was sent; and, for the whole, that the counters and
// histograms say the same as the history.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "module/pool.h"

namespace igor::stress {

class History {
 public:
  // For PoolOptions::observer.
  void observe(const Task& task, std::string_view event) {
    Shard& shard = shard_of(task.id());
    std::lock_guard lock(shard.mutex);
    shard.tasks[task.id()].events.emplace_back(event);
  }
  void worker_sent(uint64_t id) {
    Shard& shard = shard_of(id);
    std::lock_guard lock(shard.mutex);
    ++shard.tasks[id].sent;
  }
  // What the sender saw of it in the end. `all`: it read until the end was there.
  void sender_saw(uint64_t id, TaskState state, uint32_t updates, bool all) {
    Shard& shard = shard_of(id);
    std::lock_guard lock(shard.mutex);
    Entry& entry = shard.tasks[id];
    ++entry.seen;
    entry.state = state;
    entry.received = updates;
    entry.read_all = all;
  }

  // Once nothing runs any more. `ledgers`: of all pools that shared this history; those that followed each other
  // have one together.
  void check(const std::set<const Counters*>& ledgers) {
    std::map<std::string, uint64_t> totals;
    uint64_t tasks = 0, updates = 0;
    for (Shard& shard : shards_) {
      for (const auto& [id, entry] : shard.tasks) {
        SCOPED_TRACE("task " + std::to_string(id) + ": " + testing::PrintToString(entry.events));
        ++tasks;
        updates += entry.sent;
        check_order(entry.events);
        for (const std::string& event : entry.events) ++totals[event];
        EXPECT_EQ(entry.seen, 1u) << "its sender got exactly one answer";
        if (entry.events.empty()) continue;  // check_order() has said so
        EXPECT_EQ(entry.events.back(), event_of(entry.state)) << "the sender saw another end";
        if (entry.read_all) {
          EXPECT_EQ(entry.received, entry.sent) << "updates were lost";
        }
        EXPECT_LE(entry.received, entry.sent);
      }
    }
    Counters sum;
    uint64_t ended = 0, failed = 0, waits = 0, runs = 0, lives = 0;
    for (const Counters* counters : ledgers) {
      sum.started += counters->started;
      waits += counters->wait.values().count();
      runs += counters->run.values().count();
      lives += counters->total.values().count();
      sum.accepted += counters->accepted;
      sum.completed += counters->completed;
      sum.cancelled += counters->cancelled;
      sum.timed_out += counters->timed_out;
      sum.updates += counters->updates;
      ended += counters->ended();
      for (const auto& number : counters->failed) failed += number;
    }
    EXPECT_EQ(sum.accepted, tasks);
    EXPECT_EQ(ended, tasks);
    EXPECT_EQ(sum.completed, totals["complete"]);
    EXPECT_EQ(sum.cancelled, totals["cancel"]);
    EXPECT_EQ(sum.timed_out, totals["timeout"]);
    EXPECT_EQ(failed, totals["fail"]);
    EXPECT_EQ(sum.updates, updates);
    EXPECT_EQ(sum.started, totals["start"]);
    EXPECT_EQ(waits, totals["start"]);
    EXPECT_EQ(runs, totals["start"]);
    EXPECT_EQ(lives, tasks);
    for (const auto& [event, count] : totals) grand_totals()[event] += count;
  }

  // Over all histories of the process: for a last look at whether every kind of end took place.
  static std::map<std::string, uint64_t>& grand_totals() {
    static std::map<std::string, uint64_t> totals;
    return totals;
  }

 private:
  struct Entry {
    std::vector<std::string> events;
    uint32_t sent = 0;
    uint32_t received = 0;
    uint32_t seen = 0;
    bool read_all = false;
    TaskState state = TaskState::Pending;
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<uint64_t, Entry> tasks;
  };

  static bool is_end(std::string_view event) {
    return event == "complete" || event == "fail" || event == "cancel" || event == "timeout";
  }
  static std::string_view event_of(TaskState state) {
    switch (state) {
      case TaskState::Completed:
        return "complete";
      case TaskState::Failed:
        return "fail";
      case TaskState::Cancelled:
        return "cancel";
      case TaskState::TimedOut:
        return "timeout";
      default:
        return "no end";
    }
  }
  static void check_order(const std::vector<std::string>& events) {
    ASSERT_GE(events.size(), 2u) << "accepted and ended at least";
    ASSERT_LE(events.size(), 3u) << "ran twice, or ended twice";
    EXPECT_EQ(events.front(), "accept");
    EXPECT_TRUE(is_end(events.back())) << "did not end";
    if (events.size() == 3) {
      EXPECT_EQ(events[1], "start") << "started after its end, or ended twice";
    }
    if (events.size() == 2) {
      EXPECT_NE(events[1], "complete") << "completed by nobody";
    }
  }

  Shard& shard_of(uint64_t id) { return shards_[id % shards_.size()]; }

  std::array<Shard, 64> shards_;
};

}  // namespace igor::stress
