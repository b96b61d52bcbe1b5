// Sequences of what the core does, to be counted by tests/counts: instructions under callgrind, allocations here.
//
//   sequences [NAME...]     one line of JSON for each: its name, how many operations, and what they took
//
// The same steps in the same order each time: one sender, one worker, nobody spins (IGOR_SPIN=0, see main). Under
// callgrind each sequence's instructions, of all threads, are dumped by themselves, with its name on the dump.
#include <dirent.h>
#include <sys/resource.h>
#include <valgrind/callgrind.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "module/payload.h"
#include "module/pool.h"
#include "module/snapshot.h"
#include "tests/module/failing_system.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using test::FakeHost;
using test::Script;
using test::TestPool;

constexpr int kOperations = 500;
constexpr int kWarmUp = 50;
constexpr int kOutstanding = 256;
constexpr std::string_view kText = "a small payload";

[[noreturn]] void wrong(const char* what) {
  std::fprintf(stderr, "sequences: %s\n", what);
  std::exit(1);
}

int64_t descriptors() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) wrong("no /proc/self/fd");
  int64_t count = 0;
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

// Runs `operation` so often, some before that don't count, and prints what it took. `each` is how many operations
// one call is.
void count(std::string_view name, int each, const std::function<void()>& operation) {
  const int calls = kOperations / each + 1;
  for (int i = 0; i < kWarmUp / each + 1; ++i) operation();
  rusage before, after;
  const int64_t open = descriptors();
  const int64_t allocated = test::all_allocations.load();
  getrusage(RUSAGE_SELF, &before);
  CALLGRIND_ZERO_STATS;
  for (int i = 0; i < calls; ++i) operation();
  CALLGRIND_DUMP_STATS_AT(std::string(name).c_str());
  getrusage(RUSAGE_SELF, &after);
  std::printf(R"({"name":"%.*s","operations":%d,"allocations":%lld,"descriptors":%lld,"switches":%ld})"
              "\n",
              static_cast<int>(name.size()), name.data(), calls * each,
              static_cast<long long>(test::all_allocations.load() - allocated),
              static_cast<long long>(descriptors() - open), after.ru_nvcsw - before.ru_nvcsw);
  std::fflush(stdout);
}

// A pool with one worker that runs `script`, ready.
class One {
 public:
  explicit One(FakeHost::Function script, uint32_t queue = 0)
      : host_(std::move(script)), pool_(test::options_of(1, queue), host_) {
    std::string error;
    Failure failure;
    if (!pool_->start(error) || !pool_->wait_ready(kNever, error, failure)) wrong(error.c_str());
  }
  Ref<Task> send(std::string_view text) {
    Pool::Sent sent = test::send(*pool_, text);
    if (sent.result != Pool::SendResult::Accepted) wrong("the task was not accepted");
    return std::move(sent.task);
  }

 private:
  FakeHost host_;
  TestPool pool_;
};

RunOutcome echo(Script& script) {
  while (Ref<Task> task = script.receive()) {
    Payload result = Payload::copy_of(test::text_of(task->payload()));
    task->complete(std::move(result));
    script.slot.release(*task);
  }
  return test::clean_end();
}

RunOutcome send_updates(Script& script) {
  while (Ref<Task> task = script.receive()) {
    for (int i = 0; i < 8; ++i) {
      if (task->update(test::payload_of("an update"), &script.interrupt) != Task::UpdateResult::Sent)
        wrong("an update was not sent");
    }
    script.complete(std::move(task));
  }
  return test::clean_end();
}

void must_complete(Task& task, std::string_view text) {
  if (test::end_of(task) != Task::ReadResult::Completed || test::text_of(task.result()) != text)
    wrong("another answer");
}

void serial() {
  One one(echo);
  count("serial", 1, [&] { must_complete(*one.send(kText), kText); });
}

void outstanding() {
  One one(echo, 2 * kOutstanding);
  std::vector<Ref<Task>> tasks;
  tasks.reserve(kOutstanding);
  count("outstanding", kOutstanding, [&] {
    for (int i = 0; i < kOutstanding; ++i) tasks.push_back(one.send(kText));
    for (const Ref<Task>& task : tasks) must_complete(*task, kText);
    tasks.clear();
  });
}

// Eight of them to a task: fewer than the FIFO takes, so that nobody waits for room.
void updates() {
  One one(send_updates);
  count("updates", 1, [&] {
    const Ref<Task> task = one.send(kText);
    for (int i = 0; i < 8; ++i) {
      Payload update;
      if (task->read(update, kNever, nullptr) != Task::ReadResult::Update) wrong("no update");
    }
    if (test::end_of(*task) != Task::ReadResult::Completed) wrong("not completed");
  });
}

// Both sides sleep on descriptors, as scripts in stream_select() do.
void descriptor_each() {
  One one(echo);
  count("descriptor", 1, [&] {
    const Ref<Task> task = one.send(kText);
    if (task->sender_fd() < 0) wrong("no descriptor");
    must_complete(*task, kText);
  });
}

void cancel() {
  One one(echo, kOutstanding);
  count("cancel", 1, [&] {
    const Ref<Task> task = one.send(kText);
    task->cancel();
    if (!task->ended()) wrong("not cancelled");
  });
}

// A thousand rows of three fields, as an application's list of things.
void payload() {
  constexpr std::string_view names[] = {"id", "name", "price"};
  constexpr int kRows = 1000;
  count("payload", 1, [&] {
    size_t size = PayloadWriter::header_bytes() + PayloadWriter::scalar_bytes();
    for (int i = 0; i < kRows; ++i) {
      size += PayloadWriter::scalar_bytes() + PayloadWriter::int_bytes(i) + PayloadWriter::string_bytes(8) +
              PayloadWriter::float_bytes();
      for (const std::string_view name : names) size += PayloadWriter::string_bytes(name.size());
    }
    Payload made = Payload::allocate(size);
    PayloadWriter writer(made);
    writer.list(kRows);
    for (int i = 0; i < kRows; ++i) {
      writer.map(3);
      writer.string(names[0].data(), names[0].size());
      writer.integer(i);
      writer.string(names[1].data(), names[1].size());
      writer.string("row 1234", 8);
      writer.string(names[2].data(), names[2].size());
      writer.real(i / 4.0);
    }
    PayloadReader reader(made);
    PayloadReader::Item item;
    int items = 0;
    while (reader.next(item)) ++items;
    if (!writer.complete() || !reader.at_end() || items != 1 + 7 * kRows) wrong("another payload");
  });
}

void snapshot() {
  SnapshotStore store;
  store.publish(test::payload_of("published before"));
  count("snapshot", 1, [&] {
    if (const Ref<const Snapshot> latest = store.latest(); latest->payload().empty()) wrong("an empty snapshot");
  });
}

struct Sequence {
  std::string_view name;
  void (*run)();
};
constexpr Sequence kSequences[] = {
    {"serial", serial}, {"outstanding", outstanding}, {"updates", updates},  {"descriptor", descriptor_each},
    {"cancel", cancel}, {"payload", payload},         {"snapshot", snapshot}};

}  // namespace
}  // namespace igor

int main(int count, char** arguments) {
  // What a spin costs is a matter of time, not of code.
  setenv("IGOR_SPIN", "0", 1);
  for (const igor::Sequence& sequence : igor::kSequences) {
    bool asked = count == 1;
    for (int i = 1; i < count; ++i) asked = asked || sequence.name == arguments[i];
    if (asked) sequence.run();
  }
}
