#include "tests/stress/history.h"

#include <gtest/gtest.h>

#include <sstream>
#include <utility>

namespace igor::stress {
namespace {

using Entries = std::vector<Entry>;
using Found = std::vector<std::string>;
using Runs = std::map<std::pair<const void*, uint64_t>, uint64_t>;  // a slot and its run: the script's run

std::string_view name_of(What what) {
  return kNames[static_cast<size_t>(what)];
}

bool is_end(What what) {
  return what >= What::Completed && what <= What::TimedOut;
}

What end_of(uint64_t state) {
  switch (static_cast<TaskState>(state)) {
    case TaskState::Completed:
      return What::Completed;
    case TaskState::Failed:
      return What::Failed;
    case TaskState::Cancelled:
      return What::Cancelled;
    case TaskState::TimedOut:
      return What::TimedOut;
    default:
      return What::Saw;  // no end
  }
}

std::string text_of(uint64_t task, const Entries& entries) {
  std::ostringstream text;
  text << " (task " << task << ":";
  for (const Entry& entry : entries) text << ' ' << name_of(entry.what) << (&entry == &entries.back() ? ")" : ",");
  return text.str();
}

// One task's entries from the first to the last.
class Walk {
 public:
  Walk(uint32_t places, Runs& runs) : places_(places), runs_(runs) {}

  const char* wrong = nullptr;  // the first thing

  void take(const Entry& entry) {
    switch (entry.what) {
      case What::Accepted:
        demand(!accepted_, "accepted twice");
        demand(!end_, "accepted after its end");
        accepted_ = true;
        break;
      case What::Offered:
        demand(accepted_, "offered before it was accepted");
        demand(!claimed_, "offered after it was claimed");
        demand(!offered_to_, "offered to two slots");
        offered_to_ = entry.slot;
        break;
      case What::Returned:
        demand(offered_to_ == entry.slot, "taken back from a slot that it was not offered to");
        offered_to_ = nullptr;
        break;
      case What::Claimed:
        demand(accepted_, "claimed before it was accepted");
        demand(!claimed_, "claimed twice");
        demand(!end_, "claimed after its end");
        demand(!offered_to_, "claimed while it was offered to another");
        claimed_ = entry.slot;
        run_ = entry.run;
        break;
      case What::Updated:
        demand(claimed_, "an update before it was claimed");
        demand(!end_, "an update after its end");
        ++updates_;
        demand(places_ == 0 || updates_ - reads_ <= places_, "more updates wait than there are places");
        break;
      case What::Read:
        demand(reads_ < updates_, "an update was read that was not sent");
        demand(!cancel_returned_, "an update was read after the cancel returned");
        ++reads_;
        break;
      case What::Completed:
        demand(claimed_, "completed by nobody");
        [[fallthrough]];
      case What::Failed:
      case What::Cancelled:
      case What::TimedOut:
        demand(accepted_, "ended before it was accepted");
        demand(!end_, "ended twice");
        demand(entry.what != What::Cancelled || cancels_, "cancelled by nobody");
        end_ = true;
        ended_as_ = entry.what;
        break;
      case What::Got: {
        demand(claimed_ && claimed_ == entry.slot, "a worker got it that had not claimed it");
        demand(!got_, "got by two workers");
        got_ = true;
        const auto [known, is_new] = runs_.emplace(std::pair(claimed_, run_), entry.number);
        demand(is_new || known->second == entry.number, "two runs of a script count as one");
        break;
      }
      case What::Sent:
        demand(entry.number == sent_, "the worker's updates are out of order");
        ++sent_;
        break;
      case What::EndedIt:
        demand(!worker_ended_it_, "the worker was told twice that it ended the task");
        demand(end_ && ended_as_ == end_of(entry.number),
               "the worker was told that it ended the task as it did not end");
        worker_ended_it_ = worker_done_ = true;
        break;
      case What::TooLate:
        demand(end_, "the worker was told that the task had ended, and it had not");
        worker_done_ = true;
        break;
      case What::Heard:
        demand(end_, "the worker heard of an end that was none");
        worker_done_ = true;
        break;
      case What::Left:
        worker_done_ = true;
        break;
      case What::Received:
        demand(entry.number == received_, "the sender's updates are out of order");
        demand(!cancel_returned_, "an update was received after the cancel returned");
        ++received_;
        break;
      case What::Cancels:
      case What::OperatorCancelled:
        cancels_ = true;
        break;
      case What::CancelReturned:
        demand(end_, "the cancel returned, and it had not ended");
        cancel_returned_ = true;
        break;
      case What::Saw:
        demand(!saw_, "the sender got two answers");
        demand(end_ && ended_as_ == end_of(entry.number), "the sender saw another end");
        saw_ = true;
        saw_all_ = entry.run != 0;
        break;
    }
  }

  void finish() {
    demand(accepted_, "was never accepted");
    demand(end_, "never ended");
    demand(saw_, "its sender got no answer");
    demand(!offered_to_, "is still offered");
    demand(!saw_all_ || received_ == sent_, "updates were lost");
    demand(static_cast<bool>(claimed_) == got_, "claimed, and no worker got it");
    demand(!got_ || worker_done_, "its worker never learned of the end");
    demand(ended_as_ != What::Completed || worker_ended_it_, "completed, and no worker was told so");
    demand(sent_ == updates_, "the worker counts other updates than the core");
    demand(received_ == reads_, "the sender counts other updates than the core");
  }

 private:
  void demand(bool condition, const char* otherwise) {
    if (!condition && wrong == nullptr) wrong = otherwise;
  }

  const uint32_t places_;
  Runs& runs_;
  bool accepted_ = false, end_ = false, got_ = false, saw_ = false, saw_all_ = false;
  bool cancels_ = false, cancel_returned_ = false;
  bool worker_ended_it_ = false, worker_done_ = false;
  What ended_as_ = What::Saw;
  const void* offered_to_ = nullptr;
  const void* claimed_ = nullptr;
  uint64_t run_ = 0, updates_ = 0, reads_ = 0, sent_ = 0, received_ = 0;
};

// Replays what a pool handed out against what it had to hand out then.
void check_order(const std::map<uint64_t, Entries>& tasks, Found& found) {
  std::vector<std::pair<Entry, uint64_t>> all;
  for (const auto& [id, entries] : tasks) {
    for (const Entry& entry : entries) {
      if (entry.what <= What::Claimed || is_end(entry.what)) all.emplace_back(entry, id);
    }
  }
  std::sort(all.begin(), all.end(), [](const auto& one, const auto& other) { return one.first.at < other.first.at; });
  std::map<uint64_t, uint64_t> waiting;   // when it was accepted: the task
  std::map<uint64_t, uint64_t> accepted;  // the task: when
  std::map<uint64_t, Entry> returned;     // the task: from whom last
  std::set<uint64_t> ended;
  for (const auto& [entry, id] : all) {
    switch (entry.what) {
      case What::Accepted:
        waiting[accepted[id] = entry.at] = id;
        break;
      case What::Returned:
        returned[id] = entry;
        if (!ended.contains(id)) waiting[accepted[id]] = id;
        break;
      case What::Offered:
      case What::Claimed: {
        const uint64_t own = accepted[id];
        if (entry.what == What::Claimed && returned[id].slot == entry.slot && returned[id].run == entry.run) {
          waiting.erase(own);  // what it had been offered before
          break;
        }
        for (const auto& [when, other] : waiting) {
          if (when >= own) break;
          // The greater number was taken by a send that overlapped.
          if (other > id) continue;
          found.push_back("task " + std::to_string(id) + " was handed out before task " + std::to_string(other) +
                          ", which was accepted earlier");
          return;
        }
        waiting.erase(own);
        break;
      }
      default:
        waiting.erase(accepted[id]);
        ended.insert(id);
    }
  }
}

void compare(std::string_view what, uint64_t counted, uint64_t seen, Found& found) {
  if (counted == seen) return;
  found.push_back("the counters say " + std::to_string(counted) + " " + std::string(what) + ", the history " +
                  std::to_string(seen));
}

void check_counters(const std::set<const Counters*>& ledgers, const std::array<uint64_t, kNames.size()>& totals,
                    uint64_t tasks, Found& found) {
  uint64_t accepted = 0, started = 0, completed = 0, cancelled = 0, timed_out = 0, failed = 0, updates = 0;
  uint64_t waits = 0, runs = 0, lives = 0;
  for (const Counters* counters : ledgers) {
    accepted += counters->accepted;
    started += counters->started;
    completed += counters->completed;
    cancelled += counters->cancelled;
    timed_out += counters->timed_out;
    for (const auto& number : counters->failed) failed += number;
    updates += counters->updates;
    waits += counters->wait.values().count();
    runs += counters->run.values().count();
    lives += counters->total.values().count();
  }
  const auto total = [&](What what) { return totals[static_cast<size_t>(what)]; };
  compare("accepted", accepted, total(What::Accepted), found);
  compare("started", started, total(What::Claimed), found);
  compare("completed", completed, total(What::Completed), found);
  compare("cancelled", cancelled, total(What::Cancelled), found);
  compare("timed out", timed_out, total(What::TimedOut), found);
  compare("failed", failed, total(What::Failed), found);
  compare("updates", updates, total(What::Updated), found);
  compare("waits measured", waits, total(What::Claimed), found);
  compare("runs measured", runs, total(What::Claimed), found);
  compare("lives measured", lives, tasks, found);
}

}  // namespace

std::map<std::string_view, uint64_t>& History::grand_totals() {
  static std::map<std::string_view, uint64_t> totals;
  return totals;
}

std::vector<std::string> History::violations(const std::set<const Counters*>& ledgers, bool in_order) {
  Found found;
  Runs runs;
  std::array<uint64_t, kNames.size()> totals{};
  std::map<uint64_t, Entries> tasks;
  for (Shard& shard : shards_) tasks.insert(shard.tasks.begin(), shard.tasks.end());
  for (const auto& [id, entries] : tasks) {
    Walk walk(places_, runs);
    for (const Entry& entry : entries) {
      walk.take(entry);
      ++totals[static_cast<size_t>(entry.what)];
    }
    walk.finish();
    if (walk.wrong != nullptr) found.push_back(walk.wrong + text_of(id, entries));
  }
  if (in_order) check_order(tasks, found);
  check_counters(ledgers, totals, tasks.size(), found);
  for (size_t i = 0; i < totals.size(); ++i) grand_totals()[kNames[i]] += totals[i];
  return found;
}

void History::check(const std::set<const Counters*>& ledgers, bool in_order) {
  const Found found = violations(ledgers, in_order);
  for (size_t i = 0; i < std::min<size_t>(found.size(), 10); ++i) ADD_FAILURE() << found[i];
}

}  // namespace igor::stress
