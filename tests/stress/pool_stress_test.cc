// Senders and workers that do everything at once, at random: cancels at any moment, timeouts, crashes,
// full FIFOs, interrupts, drains in the middle, reloads that keep, change and fail, and an operator who restarts,
// pauses, drains and cancels. Each round is one or more pools with options drawn
// from the round's seed; the history of every task is checked after it (see history.h), and so are the
// process's threads and descriptors.
//
//   IGOR_STRESS_SECONDS  how long each test goes on (4)
//   IGOR_STRESS_SEED     the first round's seed; printed at start and with every failure
//
// See rounds.h for what is reported, and for a round that hangs.
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "module/generation.h"
#include "tests/module/fake_host.h"
#include "tests/stress/history.h"
#include "tests/stress/rounds.h"

namespace igor::stress {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::FakeHost;
using test::Script;
using Random = std::mt19937_64;
using ReadResult = Task::ReadResult;

// What a task tells its worker to do, as the payload's bytes.
struct Order {
  enum End : uint32_t { Complete, Fail, LetGo, Crash, Return, UntilEnded, kEnds };
  uint32_t updates;
  uint32_t end;

  Payload payload() const { return Payload::copy_of({reinterpret_cast<const char*>(this), sizeof *this}); }
  static Order of(const Payload& payload) {
    Order order;
    std::memcpy(&order, payload.data(), sizeof order);
    return order;
  }
};

Payload number_payload(uint32_t number) {
  return Payload::copy_of({reinterpret_cast<const char*>(&number), sizeof number});
}
uint32_t number_of(const Payload& payload) {
  uint32_t number = UINT32_MAX;
  if (payload.size() == sizeof number) std::memcpy(&number, payload.data(), sizeof number);
  return number;
}

bool one_in(Random& random, uint32_t n) {
  return random() % n == 0;
}

// One round: what its threads share.
class Round {
 public:
  explicit Round(uint64_t seed) : seed(seed), random_(seed), host([this](Script& script) { return work(script); }) {}

  PoolOptions options(const std::string& name) {
    PoolOptions options;
    options.name = name;
    options.file = "/scripts/" + name;
    options.num = static_cast<uint32_t>(random_() % 4);
    options.max_threads = static_cast<uint32_t>(random_() % 5);
    options.queue = static_cast<uint32_t>(random_() % 4);
    options.overflow_reject = one_in(random_, 4);
    options.updates = 1 + static_cast<uint32_t>(random_() % 20);
    if (one_in(random_, 2)) options.task_timeout = microseconds(random_() % 3000);
    options.stop_grace = one_in(random_, 2) ? Duration(milliseconds(2)) : Duration(seconds(30));
    options.boot_timeout = milliseconds(20);  // some of these scripts never get ready
    options.supervision.backoff_min = microseconds(100);
    options.supervision.backoff_max = milliseconds(1);
    options.supervision.max_consecutive_failures = one_in(random_, 3) ? 2 : -1;
    options.dispatch = static_cast<DispatchPolicy>(random_() % 3);
    if (one_in(random_, 3)) options.max_tasks = 1 + random_() % 5;
    options.observer = [this](const Task& task, std::string_view event) { history.observe(task, event); };
    options.steps = [this](const Task& task, const TaskStep& step) { history.step(task, step); };
    return options;
  }

  // --- the worker's side -----------------------------------------------------------------------------

  RunOutcome work(Script& script) {
    Random random(seed ^ (0x9e3779b97f4a7c15u * static_cast<uint64_t>(FakeHost::run_number())));
    if (one_in(random, 30)) return test::crash();      // never ready
    if (one_in(random, 30)) return test::clean_end();  // nor this
    std::vector<Ref<Task>> held;
    const auto leave = [&](RunOutcome outcome) {
      for (const Ref<Task>& task : held) history.worker_left(task->id());
      return outcome;
    };
    const bool keeps_polling = one_in(random, 4);
    for (;;) {
      Ref<Task> task = receive(script, random, keeps_polling, held.empty());
      if (task) {
        history.worker_got(task->id(), script.slot, static_cast<uint64_t>(FakeHost::run_number()));
        if (one_in(random, 4)) {
          held.push_back(std::move(task));  // later, together with others
          continue;
        }
        held.push_back(std::move(task));
      }
      const bool stopping = script.last == WorkerSlot::Signal::Stop || script.interrupt.raised();
      while (!held.empty()) {
        const size_t which = random() % held.size();
        Ref<Task> next = std::move(held[which]);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
        RunOutcome outcome;
        if (serve(script, std::move(next), random, outcome)) return leave(outcome);
      }
      if (stopping) return script.interrupt.raised() ? test::crash(Reason::Shutdown) : test::clean_end();
    }
  }

  Ref<Task> receive(Script& script, Random& random, bool keeps_polling, bool may_block) {
    WorkerSlot& slot = script.slot;
    script.last = WorkerSlot::Signal::None;
    if (!may_block) return slot.claim();
    if (keeps_polling || one_in(random, 3)) {
      pollfd entry{slot.signal_fd(keeps_polling), POLLIN, 0};
      // The time limit stands for the loop's own timers; an interrupt does not reach into a poll.
      poll(&entry, 1, 2);
      if (one_in(random, 3)) std::this_thread::yield();  // busy elsewhere
      if (slot.stopping()) script.last = WorkerSlot::Signal::Stop;
      return slot.claim();
    }
    script.last = slot.wait_signal(one_in(random, 2) ? kNever : after(now(), microseconds(random() % 500)),
                                   &script.interrupt, one_in(random, 2));
    return slot.claim();
  }

  // True when the script is over.
  bool serve(Script& script, Ref<Task> task, Random& random, RunOutcome& outcome) {
    const Order order = Order::of(task->payload());
    uint32_t sent = 0;
    bool open = true;
    while (open && sent < order.updates) {
      switch (task->update(number_payload(sent), &script.interrupt)) {
        case Task::UpdateResult::Sent:
          history.worker_sent(task->id(), sent++);
          break;
        default:
          open = false;
      }
    }
    const uint64_t id = task->id();
    const auto fail = [&](Reason reason, const char* message) {
      history.worker_ends(id, TaskState::Failed, task->fail(test::failure_of(reason, message)));
    };
    switch (open ? order.end : static_cast<uint32_t>(Order::Return)) {
      case Order::Complete:
        history.worker_ends(id, TaskState::Completed, task->complete(number_payload(sent)));
        break;
      case Order::Fail:
        fail(Reason::UncaughtException, "thrown");
        break;
      case Order::LetGo:
        fail(Reason::Abandoned, "let go");
        break;
      case Order::Crash:
        history.worker_left(id);
        outcome = test::crash(one_in(random, 2) ? Reason::FatalError : Reason::MemoryLimit);
        return true;
      case Order::UntilEnded:
        // The sender cancels these, or the deadline or the drain ends them.
        while (!task->ended() && !script.slot.stopping()) {
          pollfd entry{task->worker_fd(), POLLIN, 0};
          poll(&entry, 1, 1);
        }
        if (task->ended()) {
          history.worker_heard(id);
        } else {
          fail(Reason::Abandoned, "not ended");
        }
        break;
      default:
        if (open) {
          history.worker_left(id);
          outcome = test::clean_end();
          return true;
        }
        // The update told that it is over, or that the worker is to stop: let go of it as a script does.
        fail(Reason::Abandoned, "closed");
    }
    EXPECT_TRUE(task->ended());
    script.slot.release(*task);
    return false;
  }

  // --- the sender's side -----------------------------------------------------------------------------

  void send_one(Pool& pool, Random& random, Interrupt& interrupt) {
    const Order order{one_in(random, 3) ? static_cast<uint32_t>(random() % 40) : static_cast<uint32_t>(random() % 3),
                      one_in(random, 2) ? 0u : static_cast<uint32_t>(random() % Order::kEnds)};
    const TimePoint deadline =
        one_in(random, 3) ? after(now(), microseconds(random() % 2000)) : after(now(), seconds(20));
    if (interrupt.raised()) interrupt.clear();
    const Pool::Sent sent = pool.send(order.payload(), deadline, &interrupt);
    if (!sent.task) {
      EXPECT_NE(sent.result, Pool::SendResult::Accepted);
      EXPECT_NE(sent.result, Pool::SendResult::NoThread) << sent.detail;
      return;
    }
    EXPECT_EQ(sent.result, Pool::SendResult::Accepted);
    Task& task = *sent.task;
    const uint64_t id = task.id();
    uint32_t received = 0;
    // Cancels after so many updates; tasks that only a cancel ends are always cancelled.
    uint32_t cancel_after = order.end == Order::UntilEnded || one_in(random, 4)
                                ? static_cast<uint32_t>(random() % (order.updates + 1))
                                : UINT32_MAX;
    const bool polls = one_in(random, 4);
    for (;;) {
      if (received >= cancel_after) {
        if (order.end != Order::UntilEnded && one_in(random, 2)) std::this_thread::yield();
        cancel(task);
        history.sender_saw(id, task.state(), false);
        return;
      }
      if (polls) {
        task.sender_before_poll();
        pollfd entry{task.sender_fd(), POLLIN, 0};
        poll(&entry, 1, 1);
      }
      Payload update;
      switch (task.read(update, polls ? TimePoint{} : kNever, &interrupt)) {
        case ReadResult::Update:
          history.sender_received(id, number_of(update));
          ++received;
          break;
        case ReadResult::Completed:
          EXPECT_EQ(number_of(task.result()), received) << "updates were lost before the completion";
          history.sender_saw(id, TaskState::Completed, true);
          if (one_in(random, 2)) cancel(task);  // an acknowledgement: changes nothing
          EXPECT_EQ(task.state(), TaskState::Completed);
          return;
        case ReadResult::Failed:
          history.sender_saw(id, task.state(), true);
          return;
        case ReadResult::TimedOut:
          EXPECT_TRUE(polls);
          break;
        case ReadResult::Interrupted:
          interrupt.clear();
          if (one_in(random, 2)) cancel_after = 0;
          break;
      }
    }
  }

  void cancel(Task& task) {
    history.sender_cancels(task.id());
    task.cancel();
    history.sender_cancelled(task.id());
    Payload update;
    EXPECT_NE(task.read(update, TimePoint{}, nullptr), ReadResult::Update);
  }

  const uint64_t seed;

 private:
  Random random_;

 public:
  History history;
  FakeHost host;
};

// One thing that an operator does. A pool is never left paused.
void operate(Pool& pool, Random& random, History& history) {
  std::string error;
  switch (random() % 40) {
    case 0:
      pool.pause(error);
      for (uint64_t i = random() % 50; i > 0; --i) std::this_thread::yield();
      pool.resume(error);
      break;
    case 1:
      pool.drain(error);
      for (uint64_t i = random() % 50; i > 0; --i) std::this_thread::yield();
      pool.resume(error);
      break;
    case 2:
      pool.restart_worker(static_cast<uint32_t>(random() % 4));
      break;
    case 3: {
      const PoolReport report = pool.report();
      if (report.tasks.empty()) break;
      const uint64_t id = report.tasks[random() % report.tasks.size()].id;
      history.operator_cancels(id);
      if (const Ref<Task> task = pool.find_task(id)) task->cancel("cancelled by an operator");
      break;
    }
    default:
      break;
  }
}

TEST(PoolStress, EveryTaskEndsOnceAndNothingIsLost) {
  rounds([](uint64_t seed) {
    Random random(seed + 1);
    Round round(seed);
    const auto pool = Pool::create(round.options("w"), round.host);
    std::string error;
    ASSERT_TRUE(pool->start(error)) << error;

    const uint32_t senders = 1 + static_cast<uint32_t>(random() % 6);
    const uint32_t sends = 1 + static_cast<uint32_t>(random() % 60);
    const uint32_t drain_at = one_in(random, 2) ? static_cast<uint32_t>(random() % (senders * sends)) : UINT32_MAX;
    std::vector<Interrupt> interrupts(senders);
    std::atomic<uint32_t> done{0}, sent{0};
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < senders; ++i) {
      threads.emplace_back([&, i] {
        Random own(seed * 31 + i);
        for (uint32_t n = 0; n < sends; ++n) {
          round.send_one(*pool, own, interrupts[i]);
          ++sent;
        }
        ++done;
      });
    }
    bool drained = false;
    while (done < senders) {
      if (one_in(random, 50)) interrupts[random() % senders].raise();
      if (!drained) operate(*pool, random, round.history);
      if (!drained && sent >= drain_at) {
        drained = true;
        pool->begin_drain();
      }
      std::this_thread::yield();
    }
    pool->begin_drain();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(pool->finish_drain(), 0u) << "threads were lost";
    const Pool::Stats stats = pool->stats();
    EXPECT_EQ(stats.threads, 0u);
    EXPECT_EQ(stats.queued, 0u);
    EXPECT_EQ(stats.running, 0u);
    EXPECT_EQ(stats.blocked_senders, 0u);
    EXPECT_EQ(round.host.enters, round.host.leaves);
    EXPECT_EQ(pool->counters().refused + pool->counters().accepted, uint64_t{senders} * sends);
    round.history.check({&std::as_const(*pool).counters()}, true);
    EXPECT_TRUE(settles([&] { return pool.use_count() == 1; })) << "a task or a timer still holds the pool";
  });
  for (const std::string_view event : kNames) {
    EXPECT_GT(History::grand_totals()[event], 0u) << "never happened: " << event;
  }
}

TEST(PoolStress, ReloadsAndRestartsUnderLoadLoseNothing) {
  rounds([](uint64_t seed) {
    Random random(seed + 1);
    Round round(seed);
    // Two ways to configure each name, so that a reload keeps a pool as often as it changes it.
    std::map<std::string, std::array<PoolOptions, 2>> variants;
    for (const char* name : {"a", "b", ""}) variants[name] = {round.options(name), round.options(name)};
    std::mutex mutex;  // guards what follows; not a generation's own life, which is the loader's
    std::shared_ptr<Generation> current;
    std::shared_ptr<Scope> server;  // of the current one
    std::set<std::shared_ptr<Pool>> seen;
    const auto load = [&](Random& own) {
      auto generation = std::make_shared<Generation>(round.host, current.get());
      std::string error;
      const auto add = [&](Scope& scope, const char* name) {
        EXPECT_TRUE(scope.add(variants[name][own() % 2], error)) << error;
      };
      add(*generation->global(), "a");
      add(*generation->global(), "b");
      const auto scope = generation->add_scope("server");
      add(*scope, "");
      if (!one_in(own, 4)) add(*scope, "b");
      // Some of these scripts never get ready: then the configuration before goes on.
      if (!generation->start(error) && current) {
        EXPECT_EQ(generation->close(), 0u);
        return;
      }
      std::shared_ptr<Generation> old;
      {
        std::lock_guard lock(mutex);
        old = std::exchange(current, generation);
        server = scope;
      }
      if (old) {
        EXPECT_EQ(old->close(), 0u);
      }
    };
    const auto find = [&](Random& own, std::shared_ptr<Pool>& pool) {
      std::shared_ptr<Scope> scope;
      {
        std::lock_guard lock(mutex);
        scope = one_in(own, 2) ? current->global() : server;
      }
      const std::string name(1, static_cast<char>('a' + own() % 5));
      if (scope->find(name, pool) != Scope::Lookup::Found) return false;
      std::lock_guard lock(mutex);
      seen.insert(pool);
      return true;
    };
    load(random);
    constexpr uint32_t kSenders = 3, kSends = 30;
    std::atomic<uint32_t> done{0};
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < kSenders; ++i) {
      threads.emplace_back([&, i] {
        Random own(seed * 31 + i);
        Interrupt interrupt;
        std::shared_ptr<Pool> pool;
        for (uint32_t n = 0; n < kSends; ++n) {
          // Sometimes one that was looked up before, and may be history.
          if ((!pool || one_in(own, 2)) && !find(own, pool)) continue;
          round.send_one(*pool, own, interrupt);
        }
        ++done;
      });
    }
    threads.emplace_back([&] {  // the operator
      Random own(seed * 37);
      std::string error;
      std::shared_ptr<Pool> pool;
      while (done < kSenders) {
        if (!find(own, pool)) continue;
        if (one_in(own, 8)) pool->restart(error);
        for (uint64_t i = own() % 20; i > 0; --i) operate(*pool, own, round.history);
        std::this_thread::yield();
      }
    });
    while (done < kSenders) load(random);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(current->close(), 0u);
    std::set<const Counters*> ledgers;
    for (const auto& pool : seen) ledgers.insert(&std::as_const(*pool).counters());
    round.history.check(ledgers, false);
    EXPECT_EQ(round.host.enters, round.host.leaves);
  });
}

}  // namespace
}  // namespace igor::stress
