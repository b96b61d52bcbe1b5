// The core alone, without PHP: what of a task's time between scripts is its own. IGOR_SPIN decides as it does in the
// server.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "module/activity.h"
#include "module/payload.h"
#include "module/pool.h"
#include "module/snapshot.h"
#include "tests/bench/floors/times.h"
#include "tests/module/fake_host.h"

namespace {

using namespace igor;
using bench::Clock;
using bench::Times;
using test::FakeHost;
using test::Script;
using test::TestPool;

constexpr std::string_view kText = "a small payload";

void must(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "core: %s\n", what);
  std::abort();
}

// As PHP's threads do it: an update with the payload, and the end.
RunOutcome echo(Script& script) {
  while (Ref<Task> task = script.receive()) {
    task->update(Payload::copy_of(test::text_of(task->payload())), &script.interrupt);
    script.complete(std::move(task));
  }
  return test::clean_end();
}

// One sender with so many tasks outstanding, one worker. Both count as threads that run scripts, so that they spin.
void tasks(benchmark::State& state) {
  const size_t outstanding = static_cast<size_t>(state.range(0));
  FakeHost host(echo);
  TestPool pool(test::options_of(1, static_cast<uint32_t>(2 * outstanding)), host);
  std::string error;
  Failure failure;
  must(pool->start(error) && pool->wait_ready(kNever, error, failure), "the pool did not start");
  activity::thread_started();
  std::vector<Ref<Task>> sent;
  Times times;
  for (auto _ : state) {
    const auto start = Clock::now();
    for (size_t i = 0; i < outstanding; ++i) {
      Pool::Sent one = test::send(*pool, kText);
      must(one.result == Pool::SendResult::Accepted, "a task was not accepted");
      sent.push_back(std::move(one.task));
    }
    for (const Ref<Task>& task : sent) {
      Payload answer;
      must(task->read(answer, kNever, nullptr) == Task::ReadResult::Update && test::text_of(answer) == kText,
           "a wrong answer");
    }
    sent.clear();
    times.add(start);
  }
  times.report(state);
  activity::thread_stopped();
}

// A hundred looks at a snapshot: one takes less than telling the time.
void looks(benchmark::State& state) {
  SnapshotStore store;
  store.publish(test::payload_of("published"));
  Times times;
  for (auto _ : state) {
    const auto start = Clock::now();
    for (int i = 0; i < 100; ++i) benchmark::DoNotOptimize(store.latest());
    times.add(start);
  }
  times.report(state);
}

BENCHMARK(tasks)->Name("task")->Arg(1)->Arg(16)->Arg(256)->UseRealTime();
BENCHMARK(looks)->Name("snapshot-100");

}  // namespace

BENCHMARK_MAIN();
