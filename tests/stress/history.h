// The history of tasks, written by three witnesses, and the check that it is one that may be.
//
// The core tells of transitions and steps (PoolOptions::observer and steps, under the task's lock, so in
// their order), the worker and the sender of what they did and saw. After all is over violations() proves, for
// every task:
//   - accepted first and once; offered to one slot at a time; claimed at most once, by the slot that it was
//     offered to and the run that says so; ended exactly once, and nothing but reading after that;
//   - updates sent and read in order, never more of them waiting than there are places, none lost before an end that
//     its sender read up to;
//   - once the sender's cancel() has returned nothing is delivered: no claim, no update in, no update out; a worker
//     that holds the task finds that it has ended;
//   - each side's account agrees with the core's: who was told that its call ended the task is the one who did;
//   - where `in_order`, tasks are handed out in the order in which they were accepted (of two whose sends overlapped
//     either may be first);
// and, for the whole, that counters and histograms say the same as the history.
//
// Entries get a number from one atomic counter when they are written: within one lock's protection that is the order of
// what happened. Any thread may write; violations() and check() are for afterwards. history_test.cc shows that each
// kind of violation is found.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
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

// What is in a history. The names are for messages, and those of the core's transitions as the observer gives them.
enum class What : uint8_t {
  Accepted,
  Offered,
  Returned,
  Claimed,
  Updated,
  Read,
  Completed,
  Failed,
  Cancelled,
  TimedOut,  // the core
  Got,
  Sent,
  EndedIt,
  TooLate,
  Heard,
  Left,  // the worker
  Received,
  Cancels,
  CancelReturned,
  Saw,  // the sender
  OperatorCancelled,
};
constexpr std::array<std::string_view, 21> kNames = {
    "accept",          "offer",    "return",           "claim",   "update",   "read",
    "complete",        "fail",     "cancel",           "timeout", "got",      "sent",
    "ended it",        "too late", "heard of it",      "left",    "received", "cancels",
    "cancel returned", "saw",      "operator's cancel"};

struct Entry {
  What what;
  uint64_t number = 0;         // of an update; the script's run; the end that was seen
  const void* slot = nullptr;  // of offers and claims
  uint64_t run = 0;            // of the slot, as the core counts
  uint64_t at = 0;             // filled in
};

class History {
 public:
  // `places` in a task's FIFO; 0: not looked at.
  explicit History(uint32_t places = 0) : places_(places) {}

  void write(uint64_t task, Entry entry) {
    Shard& shard = shards_[task % shards_.size()];
    std::lock_guard lock(shard.mutex);
    entry.at = next_.fetch_add(1, std::memory_order_relaxed);
    shard.tasks[task].push_back(entry);
  }

  // --- the core: for PoolOptions ------------------------------------------------------------------------

  void observe(const Task& task, std::string_view event) {
    // Of the start the step tells more, at the same moment.
    if (event != "start") write(task.id(), {what_of(event)});
  }
  void step(const Task& task, const TaskStep& step) {
    constexpr What kWhat[] = {What::Offered, What::Returned, What::Claimed, What::Updated, What::Read};
    write(task.id(), {kWhat[static_cast<size_t>(step.kind)], 0, step.slot, step.run});
  }

  // --- the worker ---------------------------------------------------------------------------------------

  // `run`: which run of a script it is, as the script itself knows.
  void worker_got(uint64_t id, const WorkerSlot& slot, uint64_t run) { write(id, {What::Got, run, &slot}); }
  void worker_sent(uint64_t id, uint64_t number) { write(id, {What::Sent, number}); }
  // What complete() or fail() answered; pass it on.
  bool worker_ends(uint64_t id, TaskState as, bool took) {
    write(id, {took ? What::EndedIt : What::TooLate, static_cast<uint64_t>(as)});
    return took;
  }
  void worker_heard(uint64_t id) { write(id, {What::Heard}); }  // that another has ended it
  void worker_left(uint64_t id) { write(id, {What::Left}); }    // its script ends with the task in hand

  // --- the sender, and an operator ------------------------------------------------------------------------

  void sender_received(uint64_t id, uint64_t number) { write(id, {What::Received, number}); }
  void sender_cancels(uint64_t id) { write(id, {What::Cancels}); }           // from here on it may
  void sender_cancelled(uint64_t id) { write(id, {What::CancelReturned}); }  // and here it has
  // What it learned of the end. `all`: it read up to it.
  void sender_saw(uint64_t id, TaskState state, bool all) {
    write(id, {What::Saw, static_cast<uint64_t>(state), nullptr, all ? 1u : 0u});
  }
  void operator_cancels(uint64_t id) { write(id, {What::OperatorCancelled}); }

  // --- afterwards -----------------------------------------------------------------------------------------

  // Everything that must not be. `ledgers`: of all pools that shared this history; those that followed each other have
  // one together. `in_order`: of one pool whose tasks went to no other.
  std::vector<std::string> violations(const std::set<const Counters*>& ledgers, bool in_order);

  // The first of them as failures of the test that runs.
  void check(const std::set<const Counters*>& ledgers, bool in_order);

  // Over all checked histories of the process, by name: for a last look at whether everything took place.
  static std::map<std::string_view, uint64_t>& grand_totals();

 private:
  using Entries = std::vector<Entry>;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<uint64_t, Entries> tasks;
  };
  static What what_of(std::string_view event) {
    return static_cast<What>(std::find(kNames.begin(), kNames.end(), event) - kNames.begin());
  }

  const uint32_t places_;
  std::atomic<uint64_t> next_{1};
  std::array<Shard, 64> shards_;
};

}  // namespace igor::stress
