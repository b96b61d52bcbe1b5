// Random sequences of calls on the core: senders, workers and an operator that do one thing at a time, on one pool and
// the ones that succeed it. What must hold, beside the history of every task (tests/stress/history.h):
//   - no call that was given no time blocks (the driver would hang, and be ended for it);
//   - updates come in order, none twice, none after the sender has cancelled;
//   - a descriptor is readable exactly when what it stands for is there;
//   - what is drained has no thread, no task and no sender left.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "module/handle_table.h"
#include "module/pool.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/scripted_host.h"
#include "tests/stress/history.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  GTEST_FLAG_SET(break_on_failure, true);  // History's checks are expectations; here they end the process
  return 0;
}

namespace igor::fuzz {
namespace {

using ReadResult = Task::ReadResult;
using UpdateResult = Task::UpdateResult;

constexpr TimePoint kAtOnce{};

bool readable(int descriptor) {
  FUZZ_CHECK(descriptor >= 0);
  pollfd entry{descriptor, POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

template <typename Condition>
bool settles(Condition condition) {
  const TimePoint end = after(now(), std::chrono::seconds(20));
  while (!condition()) {
    if (now() >= end) return false;
    std::this_thread::yield();
  }
  return true;
}

uint32_t number_of(const Payload& payload) {
  uint32_t number = UINT32_MAX;
  if (payload.size() == sizeof number) std::memcpy(&number, payload.data(), sizeof number);
  return number;
}
Payload number_payload(uint32_t number) {
  return Payload::copy_of({reinterpret_cast<const char*>(&number), sizeof number});
}

class Play {
 public:
  explicit Play(const uint8_t* data, size_t size) : input_(data, size) {
    host_.left = [this](const Task& task) { history_.worker_left(task.id()); };
    pools_.push_back(make(nullptr));
  }

  void run() {
    std::string error;
    FUZZ_CHECK(pools_.back()->start(error));
    while (!input_.empty()) step();
    end();
  }

 private:
  struct Sender {
    Ref<Task> task;
    uint32_t received = 0;
  };

  std::shared_ptr<Pool> make(const std::shared_ptr<Pool>& predecessor) {
    PoolOptions options;
    options.name = "w";
    options.file = "/scripts/w";
    options.num = input_.below(3);
    options.max_threads = input_.below(4);
    options.queue = input_.below(4);
    options.overflow_reject = input_.one_in(4);
    options.updates = 1 + input_.below(6);
    options.stop_grace = std::chrono::hours(1);
    options.max_tasks = input_.one_in(4) ? 1 + input_.below(3) : 0;
    options.dispatch = static_cast<DispatchPolicy>(input_.below(3));
    options.supervision.backoff_min = options.supervision.backoff_max = std::chrono::microseconds(1);
    options.supervision.max_consecutive_failures = input_.one_in(4) ? 2 : -1;
    options.observer = [this](const Task& task, std::string_view event) { history_.observe(task, event); };
    options.steps = [this](const Task& task, const TaskStep& step) { history_.step(task, step); };
    return Pool::create(std::move(options), host_, {}, predecessor);
  }

  Pool& some_pool() { return *pools_[input_.below(static_cast<uint32_t>(pools_.size()))]; }

  void step() {
    switch (input_.below(20)) {
      case 0:
      case 1:
        return send();
      case 2:
      case 3:
        return read();
      case 4:
        return look_at_sender();
      case 5:
        return cancel();
      case 6:
        return operate();
      case 7:
        return succeed();
      case 8:
        return snapshot();
      case 9:
        return handles();
      default:
        host_.tell(input_.byte(), [this](Actor& actor) { return work(actor); });
    }
  }

  // --- senders -------------------------------------------------------------------------------------

  void send() {
    Interrupt interrupt;
    if (input_.one_in(8)) interrupt.raise();
    Pool::Sent sent = some_pool().send(number_payload(0), kAtOnce, &interrupt, {});
    FUZZ_CHECK((sent.result == Pool::SendResult::Accepted) == static_cast<bool>(sent.task));
    if (sent.task) senders_.push_back({std::move(sent.task), 0});
  }

  // False when the sender is through with it.
  bool read_once(Sender& sender) {
    const bool had_something = sender.task->readable();
    Payload update;
    switch (sender.task->read(update, kAtOnce, nullptr)) {
      case ReadResult::Update:
        FUZZ_CHECK(number_of(update) == sender.received);
        history_.sender_received(sender.task->id(), sender.received++);
        return true;
      case ReadResult::Completed:
        FUZZ_CHECK(number_of(sender.task->result()) == sender.received);
        [[fallthrough]];
      case ReadResult::Failed:
        FUZZ_CHECK(sender.task->drained());
        history_.sender_saw(sender.task->id(), sender.task->state(), true);
        return false;
      case ReadResult::TimedOut:
        FUZZ_CHECK(!had_something);
        return true;
      case ReadResult::Interrupted:
        break;
    }
    FUZZ_CHECK(!"nobody interrupted it");
    return false;
  }

  void read() {
    if (senders_.empty()) return;
    const size_t which = input_.byte() % senders_.size();
    if (!read_once(senders_[which])) senders_.erase(senders_.begin() + static_cast<std::ptrdiff_t>(which));
  }

  void look_at_sender() {
    if (senders_.empty()) return;
    Task& task = *senders_[input_.byte() % senders_.size()].task;
    FUZZ_CHECK(readable(task.sender_fd()) == task.readable());
    FUZZ_CHECK(!task.drained() || task.ended());
  }

  void cancel() {
    if (senders_.empty()) return;
    const size_t which = input_.byte() % senders_.size();
    const Sender sender = senders_[which];
    senders_.erase(senders_.begin() + static_cast<std::ptrdiff_t>(which));
    history_.sender_cancels(sender.task->id());
    sender.task->cancel();
    history_.sender_cancelled(sender.task->id());
    FUZZ_CHECK(sender.task->ended());
    Payload update;
    const ReadResult after = sender.task->read(update, kAtOnce, nullptr);
    FUZZ_CHECK(after == ReadResult::Failed || after == ReadResult::Completed);
    history_.sender_saw(sender.task->id(), sender.task->state(), false);
  }

  // --- workers -------------------------------------------------------------------------------------

  std::optional<RunOutcome> work(Actor& actor) {
    WorkerSlot& slot = actor.script.slot;
    const uint32_t what = input_.below(12);
    switch (what) {
      case 0:
        if (slot.poll_signal() == WorkerSlot::Signal::Stop) FUZZ_CHECK(slot.stopping());
        return {};
      case 1: {
        const bool announced = slot.poll_signal() == WorkerSlot::Signal::Task;
        Ref<Task> task = slot.claim();
        FUZZ_CHECK(announced || !task);
        if (task) take(actor, std::move(task));
        return {};
      }
      case 2: {
        const int descriptor = slot.signal_fd(input_.one_in(2));
        // A script that starts may be offered what this one was.
        FUZZ_CHECK(settles([&] { return readable(descriptor) == (slot.poll_signal() != WorkerSlot::Signal::None); }));
        return {};
      }
      case 3:
        if (Ref<Task> task = slot.claim()) take(actor, std::move(task));
        return {};
      case 4:
        if (input_.one_in(2)) return test::clean_end();
        return test::crash(Reason::FatalError);
      case 5:
        slot.pool().publish(slot, number_payload(input_.byte()));
        return {};
      default:
        break;
    }
    if (actor.held.empty()) return {};
    const size_t which = input_.byte() % actor.held.size();
    Task& task = *actor.held[which];
    switch (what) {
      case 6:
      case 7:
        update(actor, task);
        return {};
      case 8:
        FUZZ_CHECK(readable(task.worker_fd()) == task.ended());
        return {};
      case 9:
        history_.worker_ends(task.id(), TaskState::Completed, task.complete(number_payload(sent_[task.id()])));
        break;
      case 10:
        history_.worker_ends(task.id(), TaskState::Failed,
                             task.fail(test::failure_of(Reason::UncaughtException, "thrown")));
        break;
      default:
        if (task.ended()) {
          history_.worker_heard(task.id());
        } else {
          history_.worker_ends(task.id(), TaskState::Failed, task.fail(test::failure_of(Reason::Abandoned, "let go")));
        }
    }
    FUZZ_CHECK(task.ended());
    slot.release(task);
    actor.held.erase(actor.held.begin() + static_cast<std::ptrdiff_t>(which));
    return {};
  }

  void take(Actor& actor, Ref<Task> task) {
    history_.worker_got(task->id(), actor.script.slot, actor.run);
    actor.held.push_back(std::move(task));
  }

  void update(Actor& actor, Task& task) {
    actor.script.interrupt.raise();  // instead of waiting for a place
    const bool ended = task.ended();
    switch (task.update(number_payload(sent_[task.id()]), &actor.script.interrupt)) {
      case UpdateResult::Sent:
        FUZZ_CHECK(!ended);
        history_.worker_sent(task.id(), sent_[task.id()]++);
        break;
      case UpdateResult::Closed:
        FUZZ_CHECK(ended);
        break;
      case UpdateResult::Draining:
        FUZZ_CHECK(actor.script.slot.stopping());
        break;
      case UpdateResult::Interrupted:
        break;
    }
    actor.script.interrupt.clear();
  }

  // --- the operator ----------------------------------------------------------------------------------

  void operate() {
    Pool& pool = some_pool();
    std::string error;
    switch (input_.below(8)) {
      case 0:
        pool.pause(error);
        return;
      case 1:
        pool.resume(error);
        return;
      case 2:
        pool.drain(error);
        return;
      case 3:
        pool.restart_worker(input_.below(4));
        return;
      case 4:
        pool.begin_drain();
        return;
      case 5: {
        const PoolReport report = pool.report();
        for (const auto& task : report.tasks) {
          const Ref<Task> found = pool.find_task(task.id);
          if (!found || !input_.one_in(2)) continue;
          history_.operator_cancels(task.id);
          FUZZ_CHECK(found->cancel("by an operator") == true);
        }
        return;
      }
      case 6:
        if (!senders_.empty()) senders_[input_.byte() % senders_.size()].task->time_out();
        return;
      default:
        pool.grow(error);
    }
  }

  void succeed() {
    if (pools_.size() >= 4 || pools_.back()->draining()) return;
    const std::shared_ptr<Pool> old = pools_.back();
    pools_.push_back(make(old));
    std::string error;
    if (input_.one_in(2)) FUZZ_CHECK(pools_.back()->start(error));
    old->begin_drain(pools_.back());
  }

  void snapshot() {
    Pool& pool = some_pool();
    Interrupt raised;
    raised.raise();
    const uint64_t version = pool.snapshots().version();
    const Pool::Look look = pool.look(kAtOnce, &raised);
    FUZZ_CHECK(version == 0 || (look.snapshot && look.snapshot->version() >= version));
    if (look.snapshot) FUZZ_CHECK(number_of(look.snapshot->payload()) <= UINT8_MAX);
  }

  // A table beside it all, against a model of it.
  void handles() {
    const uint32_t which = input_.below(static_cast<uint32_t>(model_.size()));
    auto& [handle, value] = model_[which];
    const std::shared_ptr<uint32_t> found = handles_.find(handle);
    FUZZ_CHECK(value == UINT32_MAX ? !found : found && *found == value);
    if (value != UINT32_MAX) {
      FUZZ_CHECK(*handles_.take(handle) == value);
      value = UINT32_MAX;  // the handle stays: stale, from now on
    } else if (input_.one_in(2)) {
      value = serial_++;
      handle = handles_.insert(std::make_shared<uint32_t>(value));
    } else {
      const uint64_t guess = input_.number(8);
      const bool known = std::any_of(model_.begin(), model_.end(),
                                     [&](const auto& one) { return one.first == guess && one.second != UINT32_MAX; });
      FUZZ_CHECK(known == static_cast<bool>(handles_.find(guess)));
    }
  }

  void end() {
    for (const auto& pool : pools_) pool->begin_drain();
    host_.end_all();
    FUZZ_CHECK(Pool::finish_drain(pools_) == 0);
    while (!senders_.empty()) {
      if (!read_once(senders_.back())) senders_.pop_back();
    }
    std::set<const Counters*> ledgers;
    for (const auto& pool : pools_) {
      const Pool::Stats stats = pool->stats();
      FUZZ_CHECK(stats.threads == 0 && stats.queued == 0 && stats.running == 0 && stats.blocked_senders == 0);
      FUZZ_CHECK(pool->finished());
      ledgers.insert(&std::as_const(*pool).counters());
    }
    history_.check(ledgers, false);
  }

  Input input_;
  stress::History history_;
  ScriptedHost host_;
  std::vector<std::shared_ptr<Pool>> pools_;  // each the successor of the one before
  std::vector<Sender> senders_;
  std::map<uint64_t, uint32_t> sent_;  // updates, by task
  HandleTable<std::shared_ptr<uint32_t>> handles_;
  std::array<std::pair<uint64_t, uint32_t>, 8> model_ = [] {
    std::array<std::pair<uint64_t, uint32_t>, 8> none;
    none.fill({0, UINT32_MAX});
    return none;
  }();
  uint32_t serial_ = 0;
};

}  // namespace
}  // namespace igor::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  igor::fuzz::Play(data, size).run();
  return 0;
}
