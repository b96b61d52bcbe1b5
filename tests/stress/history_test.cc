// The checker of histories finds what it is for: histories made by hand, each with one thing in it that must not be.
#include "tests/stress/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace igor::stress {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Story = std::vector<Entry>;

// What slots are to a history: addresses.
const char slots[2] = {};
constexpr const void* kA = &slots[0];
constexpr const void* kB = &slots[1];
constexpr uint64_t kCompleted = static_cast<uint64_t>(TaskState::Completed);
constexpr uint64_t kFailed = static_cast<uint64_t>(TaskState::Failed);
constexpr uint64_t kCancelled = static_cast<uint64_t>(TaskState::Cancelled);

// Two updates, and completed. By position: 3 is the claim, 5 and 9 the updates, 13 the end.
Story completed() {
  return {{What::Accepted},
          {What::Offered, 0, kA, 1},
          {What::Returned, 0, kA, 1},
          {What::Claimed, 0, kA, 1},
          {What::Got, 7, kA},
          {What::Updated},
          {What::Sent, 0},
          {What::Read},
          {What::Received, 0},
          {What::Updated},
          {What::Sent, 1},
          {What::Read},
          {What::Received, 1},
          {What::Completed},
          {What::EndedIt, kCompleted},
          {What::Saw, kCompleted, nullptr, 1}};
}

// Its sender cancels it while the worker has it, with one update read and one not. 10 to 12 is the cancel.
Story cancelled() {
  return {{What::Accepted},  {What::Claimed, 0, kA, 1}, {What::Got, 7, kA}, {What::Updated},        {What::Sent, 0},
          {What::Updated},   {What::Sent, 1},           {What::Read},       {What::Received, 0},    {What::Cancels},
          {What::Cancelled}, {What::CancelReturned},    {What::Heard},      {What::Saw, kCancelled}};
}

Story without(Story story, size_t position) {
  story.erase(story.begin() + static_cast<std::ptrdiff_t>(position));
  return story;
}
Story with(Story story, size_t position, Entry entry) {
  story.insert(story.begin() + static_cast<std::ptrdiff_t>(position), entry);
  return story;
}
Story changed(Story story, size_t position, Entry entry) {
  story[position] = entry;
  return story;
}

// As a pool with this history would have counted.
std::unique_ptr<Counters> counters_of(const std::vector<std::pair<uint64_t, Entry>>& all) {
  auto counters = std::make_unique<Counters>();
  std::set<uint64_t> tasks;
  for (const auto& [task, entry] : all) {
    if (tasks.insert(task).second) counters->total.record({});
    switch (entry.what) {
      case What::Accepted:
        ++counters->accepted;
        break;
      case What::Claimed:
        ++counters->started;
        counters->wait.record({});
        counters->run.record({});
        break;
      case What::Updated:
        ++counters->updates;
        break;
      case What::Completed:
        ++counters->completed;
        break;
      case What::Failed:
        ++counters->failed[0];
        break;
      case What::Cancelled:
        ++counters->cancelled;
        break;
      case What::TimedOut:
        ++counters->timed_out;
        break;
      default:
        break;
    }
  }
  return counters;
}

std::vector<std::string> violations_of(const std::vector<std::pair<uint64_t, Entry>>& all, bool in_order = false) {
  History history(2);
  for (const auto& [task, entry] : all) history.write(task, entry);
  const auto counters = counters_of(all);
  return history.violations({counters.get()}, in_order);
}
std::vector<std::string> violations_of(const Story& story) {
  std::vector<std::pair<uint64_t, Entry>> all;
  for (const Entry& entry : story) all.emplace_back(1, entry);
  return violations_of(all);
}

TEST(History, WhatMayBeIsFoundSound) {
  EXPECT_THAT(violations_of(Story()), IsEmpty());
  EXPECT_THAT(violations_of(completed()), IsEmpty());
  EXPECT_THAT(violations_of(cancelled()), IsEmpty());
  EXPECT_THAT(
      violations_of({{What::Accepted}, {What::TimedOut}, {What::Saw, static_cast<uint64_t>(TaskState::TimedOut)}}),
      IsEmpty());
  // A witness writes after the fact, and so behind what the others have done since.
  Story late = completed();
  late.push_back(late[10]);
  late = without(late, 10);
  EXPECT_THAT(violations_of(late), IsEmpty());
  // Offered to one that did not come, then to another.
  EXPECT_THAT(violations_of(with(with(completed(), 1, {What::Returned, 0, kB, 1}), 1, {What::Offered, 0, kB, 1})),
              IsEmpty());
}

struct Violation {
  const char* name;
  Story story;
  const char* found;
};
void PrintTo(const Violation& violation, std::ostream* out) {
  *out << violation.name;
}

class HistoryViolation : public testing::TestWithParam<Violation> {};

TEST_P(HistoryViolation, IsFound) {
  EXPECT_THAT(violations_of(GetParam().story), ElementsAre(HasSubstr(GetParam().found)));
}

INSTANTIATE_TEST_SUITE_P(
    Each, HistoryViolation,
    testing::Values(
        Violation{"NoEnd", without(without(without(completed(), 15), 14), 13), "never ended"},
        Violation{"TwoEnds", with(completed(), 14, {What::Failed}), "ended twice"},
        Violation{"TwoEndsOfAKind", with(completed(), 14, {What::Completed}), "ended twice"},
        Violation{"NotAccepted", without(completed(), 0), "offered before it was accepted"},
        Violation{"AcceptedTwice", with(completed(), 1, {What::Accepted}), "accepted twice"},
        Violation{"AcceptedAfterTheEnd", with(without(cancelled(), 0), 10, {What::Accepted}),
                  "claimed before it was accepted"},
        Violation{"RunTwice", with(completed(), 5, {What::Claimed, 0, kB, 1}), "claimed twice"},
        Violation{"GotByTwo", with(completed(), 5, {What::Got, 8, kA}), "got by two workers"},
        Violation{"GotByAnother", changed(completed(), 4, {What::Got, 7, kB}), "got it that had not claimed it"},
        Violation{"GotByNobody", without(completed(), 4), "no worker got it"},
        Violation{"OfferedToTwo", with(completed(), 2, {What::Offered, 0, kB, 1}), "offered to two slots"},
        Violation{"OfferedAfterTheClaim", with(completed(), 5, {What::Offered, 0, kB, 1}),
                  "offered after it was claimed"},
        Violation{"ClaimedWhileOfferedToAnother", without(changed(completed(), 1, {What::Offered, 0, kB, 1}), 2),
                  "claimed while it was offered to another"},
        Violation{"TakenBackFromAnother", changed(completed(), 2, {What::Returned, 0, kB, 1}),
                  "taken back from a slot"},
        Violation{"ClaimedAfterTheEnd",
                  {{What::Accepted},
                   {What::Failed},
                   {What::Claimed, 0, kA, 1},
                   {What::Got, 7, kA},
                   {What::Heard},
                   {What::Saw, kFailed}},
                  "claimed after its end"},
        Violation{
            "CompletedByNobody", {{What::Accepted}, {What::Completed}, {What::Saw, kCompleted}}, "completed by nobody"},
        Violation{"CancelledByNobody", without(without(cancelled(), 11), 9), "cancelled by nobody"},
        Violation{"TheCancelDidNothing", with(cancelled(), 9, {What::CancelReturned}),
                  "the cancel returned, and it had not ended"},
        Violation{"ClaimedAfterTheCancel",
                  {{What::Accepted},
                   {What::Cancels},
                   {What::Cancelled},
                   {What::CancelReturned},
                   {What::Claimed, 0, kA, 1},
                   {What::Got, 7, kA},
                   {What::Heard},
                   {What::Saw, kCancelled}},
                  "claimed after its end"},
        Violation{"SentAfterTheCancel", with(with(cancelled(), 12, {What::Sent, 2}), 12, {What::Updated}),
                  "an update after its end"},
        Violation{"ReadAfterTheCancel", with(cancelled(), 12, {What::Read}), "read after the cancel returned"},
        Violation{"ReceivedAfterTheCancel", with(with(cancelled(), 12, {What::Received, 1}), 10, {What::Read}),
                  "received after the cancel returned"},
        Violation{"ItsWorkerNeverHeard", without(cancelled(), 12), "its worker never learned of the end"},
        Violation{"HeardOfNoEnd", with(completed(), 5, {What::Heard}), "heard of an end that was none"},
        Violation{"TooLateForNothing", with(completed(), 13, {What::TooLate, kFailed}),
                  "told that the task had ended, and it had not"},
        Violation{"TwoWinners", changed(cancelled(), 12, {What::EndedIt, kCompleted}),
                  "told that it ended the task as it did not end"},
        Violation{"CompletedUntold", changed(completed(), 14, {What::TooLate, kCompleted}),
                  "completed, and no worker was told so"},
        Violation{"SentOutOfOrder", changed(completed(), 10, {What::Sent, 0}), "the worker's updates are out of order"},
        Violation{"ReceivedOutOfOrder", changed(completed(), 8, {What::Received, 1}),
                  "the sender's updates are out of order"},
        Violation{"LostAtTheEnd", without(without(completed(), 12), 11), "updates were lost"},
        Violation{"InventedByTheCore", with(with(completed(), 13, {What::Received, 2}), 13, {What::Read}),
                  "read that was not sent"},
        Violation{"ReadAndNotReceived", without(cancelled(), 8), "the sender counts other updates than the core"},
        Violation{"SentAndNotInTheFifo", without(without(without(cancelled(), 8), 7), 5),
                  "the worker counts other updates"},
        Violation{"MoreThanThereArePlaces", with(with(cancelled(), 7, {What::Sent, 2}), 7, {What::Updated}),
                  "than there are places"},
        Violation{"TheSenderSawAnotherEnd", changed(completed(), 15, {What::Saw, kFailed, nullptr, 1}),
                  "the sender saw another end"},
        Violation{"NoAnswer", without(completed(), 15), "its sender got no answer"},
        Violation{"TwoAnswers", with(completed(), 16, {What::Saw, kCompleted, nullptr, 1}),
                  "the sender got two answers"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(History, OneRunOfASlotIsOneRunOfItsScript) {
  std::vector<std::pair<uint64_t, Entry>> all;
  for (const Entry& entry : completed()) all.emplace_back(1, entry);
  for (const Entry& entry : changed(completed(), 4, {What::Got, 8, kA})) all.emplace_back(2, entry);
  EXPECT_THAT(violations_of(all), ElementsAre(HasSubstr("two runs of a script count as one")));
}

// The parts of several tasks' lives in the order in which they happen.
std::vector<std::string> order_of(const std::vector<std::pair<uint64_t, Entry>>& handed_out) {
  std::vector<std::pair<uint64_t, Entry>> all = handed_out;
  std::set<uint64_t> claimed;
  for (const auto& [task, entry] : handed_out) {
    if (entry.what != What::Claimed) continue;
    all.insert(all.end(), {{task, {What::Got, entry.run, entry.slot}},
                           {task, {What::Completed}},
                           {task, {What::EndedIt, kCompleted}},
                           {task, {What::Saw, kCompleted}}});
  }
  return violations_of(all, true);
}

TEST(History, TasksAreHandedOutInOrder) {
  const Entry accepted{What::Accepted};
  const auto claimed = [](const void* slot) { return Entry{What::Claimed, 0, slot, 1}; };
  const auto offered = [](const void* slot) { return Entry{What::Offered, 0, slot, 1}; };
  const auto returned = [](const void* slot) { return Entry{What::Returned, 0, slot, 1}; };
  EXPECT_THAT(order_of({{1, accepted}, {2, accepted}, {1, claimed(kA)}, {2, claimed(kA)}}), IsEmpty());
  EXPECT_THAT(order_of({{1, accepted}, {2, accepted}, {2, claimed(kA)}, {1, claimed(kA)}}),
              ElementsAre(HasSubstr("task 2 was handed out before task 1")));
  // Their sends overlapped.
  EXPECT_THAT(order_of({{2, accepted}, {1, accepted}, {1, claimed(kA)}, {2, claimed(kA)}}), IsEmpty());
  // Offered in order, claimed as it comes.
  EXPECT_THAT(order_of({{1, accepted},
                        {1, offered(kA)},
                        {2, accepted},
                        {2, offered(kB)},
                        {2, returned(kB)},
                        {2, claimed(kB)},
                        {1, returned(kA)},
                        {1, claimed(kA)}}),
              IsEmpty());
  EXPECT_THAT(
      order_of({{1, accepted}, {2, accepted}, {2, offered(kB)}, {2, returned(kB)}, {2, claimed(kB)}, {1, claimed(kA)}}),
      ElementsAre(HasSubstr("task 2 was handed out before task 1")));
  // Who comes back has its old place.
  EXPECT_THAT(order_of({{1, accepted},
                        {2, accepted},
                        {1, offered(kA)},
                        {1, returned(kA)},
                        {2, offered(kB)},
                        {2, returned(kB)},
                        {2, claimed(kB)},
                        {1, claimed(kA)}}),
              ElementsAre(HasSubstr("task 2 was handed out before task 1")));
  // One that has ended keeps nobody back.
  EXPECT_THAT(violations_of({{1, accepted},
                             {2, accepted},
                             {1, {What::TimedOut}},
                             {1, {What::Saw, static_cast<uint64_t>(TaskState::TimedOut)}},
                             {2, claimed(kA)},
                             {2, {What::Got, 7, kA}},
                             {2, {What::Completed}},
                             {2, {What::EndedIt, kCompleted}},
                             {2, {What::Saw, kCompleted}}},
                            true),
              IsEmpty());
}

TEST(History, TheCountersMustSayTheSame) {
  std::vector<std::pair<uint64_t, Entry>> all;
  for (const Entry& entry : completed()) all.emplace_back(1, entry);
  for (const Entry& entry : cancelled()) all.emplace_back(2, entry);
  const std::vector<std::pair<Counters::Number Counters::*, const char*>> numbers = {
      {&Counters::accepted, "accepted"},   {&Counters::started, "started"},     {&Counters::completed, "completed"},
      {&Counters::cancelled, "cancelled"}, {&Counters::timed_out, "timed out"}, {&Counters::updates, "updates"}};
  for (const auto& [number, name] : numbers) {
    History history;
    for (const auto& [task, entry] : all) history.write(task, entry);
    const auto counters = counters_of(all);
    ++(*counters.*number);
    EXPECT_THAT(history.violations({counters.get()}, false), ElementsAre(HasSubstr(name)));
  }
  const std::vector<std::pair<Histogram Counters::*, const char*>> histograms = {
      {&Counters::wait, "waits"}, {&Counters::run, "runs"}, {&Counters::total, "lives"}};
  for (const auto& [histogram, name] : histograms) {
    History history;
    for (const auto& [task, entry] : all) history.write(task, entry);
    const auto counters = counters_of(all);
    (*counters.*histogram).record({});
    EXPECT_THAT(history.violations({counters.get()}, false), ElementsAre(HasSubstr(name)));
  }
}

}  // namespace
}  // namespace igor::stress
