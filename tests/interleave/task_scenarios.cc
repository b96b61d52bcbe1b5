// A task by itself: its ends against each other, its updates, its descriptors. The pool has no threads.
#include <array>

#include "tests/interleave/scenarios.h"
#include "tests/module/fake_host.h"

namespace igor::interleave {
namespace {

using std::chrono::milliseconds;
using test::failure_of;
using test::payload_of;
using test::text_of;
using ReadResult = Task::ReadResult;
using UpdateResult = Task::UpdateResult;

struct World {
  World() {
    PoolOptions options = test::options_of(0);
    options.observer = [this](const Task&, std::string_view event) { ends += event != "accept" && event != "start"; };
    pool = Pool::create(std::move(options), host);
    slot = std::make_unique<WorkerSlot>(*pool, 0);
  }
  Ref<Task> make(uint32_t updates = 0) {
    auto task = Ref<Task>::adopt(new Task(pool, payload_of("in"), updates));
    pool->count_accepted(*task);
    return task;
  }
  Ref<Task> make_running(uint32_t updates = 0) {
    auto task = make(updates);
    require(task->start(*slot), "it starts");
    return task;
  }
  void check_ended(uint64_t tasks) {
    require(static_cast<uint64_t>(ends) == tasks, "each ends once");
    require(pool->counters().ended() == tasks, "and is counted once");
  }

  test::FakeHost host;
  std::shared_ptr<Pool> pool;
  std::unique_ptr<WorkerSlot> slot;
  int ends = 0;
};

// Whoever comes first ends it; all see the same end.
void every_end_against_every_other() {
  World world;
  const auto task = world.make_running();
  std::array<bool, 4> first{};
  {
    Thread completes("completes", [&] { first[0] = task->complete(payload_of("out")); });
    Thread fails("fails", [&] { first[1] = task->fail(failure_of(Reason::FatalError)); });
    Thread cancels("cancels", [&] { first[2] = task->cancel("enough"); });
    task->time_out();
  }
  first[3] = task->state() == TaskState::TimedOut;
  const std::array states{TaskState::Completed, TaskState::Failed, TaskState::Cancelled, TaskState::TimedOut};
  int firsts = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    firsts += first[i];
    if (first[i]) require(task->state() == states[i], "the state is that of who came first");
  }
  require(firsts == 1, "one comes first");
  require(text_of(task->result()) == (first[0] ? "out" : ""), "a result is there if it was completed");
  world.check_ended(1);
}

void start_against_cancel() {
  World world;
  const auto task = world.make();
  bool started = false, completed = false;
  {
    Thread worker("worker", [&] {
      started = task->start(*world.slot);
      if (started) completed = task->complete({});
    });
    Thread canceller("canceller", [&] { task->cancel(); });
  }
  require(task->state() == (completed ? TaskState::Completed : TaskState::Cancelled), "one of the two");
  require(world.pool->counters().started == (started ? 1u : 0u), "a start is counted");
  world.check_ended(1);
}

// Reads to the end; says how many updates came, all in order.
int read_all(Task& task, ReadResult& end, Interrupt* interrupt = nullptr) {
  int count = 0;
  for (;;) {
    Payload update;
    end = task.read(update, kNever, interrupt);
    if (end != ReadResult::Update) return count;
    require(text_of(update) == std::to_string(count), "updates come in order, each once");
    ++count;
  }
}

int send_updates(Task& task, int most, UpdateResult& last, Interrupt* interrupt = nullptr) {
  int sent = 0;
  last = UpdateResult::Sent;
  while (sent < most && (last = task.update(payload_of(std::to_string(sent)), interrupt)) == UpdateResult::Sent) ++sent;
  return sent;
}

void updates_through_a_full_fifo() {
  World world;
  const auto task = world.make_running(1);
  ReadResult end{};
  int received = 0;
  {
    Thread worker("worker", [&] {
      UpdateResult last;
      require(send_updates(*task, 3, last) == 3, "nobody ends it meanwhile");
      require(task->complete(payload_of("out")), "nobody else does");
    });
    received = read_all(*task, end);
  }
  require(end == ReadResult::Completed && received == 3, "all updates, and then the end");
  require(text_of(task->result()) == "out", "with its result");
  require(world.pool->counters().updates == 3u, "updates are counted");
  world.check_ended(1);
}

void full_fifo_against_a_cancel() {
  World world;
  const auto task = world.make_running(1);
  ReadResult end{};
  int received = 0, sent = 0;
  bool completed = false, cancelled = false;
  {
    Thread worker("worker", [&] {
      UpdateResult last;
      sent = send_updates(*task, 2, last);
      require(last == UpdateResult::Sent || last == UpdateResult::Closed, "nothing else can be");
      completed = task->complete({});
      if (last == UpdateResult::Closed) require(!completed, "what is closed has ended");
    });
    Thread operates("operator", [&] { cancelled = task->cancel("enough"); });
    received = read_all(*task, end);
  }
  require(received == sent, "what was sent before the end is read before it");
  require(completed != cancelled, "one of the two");
  require(end == (completed ? ReadResult::Completed : ReadResult::Failed), "and the sender sees which");
  world.check_ended(1);
}

// The sender's own cancel drops what it will not read; nothing comes after it.
void full_fifo_against_its_sender_leaving() {
  World world;
  auto task = world.make_running(1);
  {
    Thread worker("worker", [&, held = task] {
      UpdateResult last;
      send_updates(*held, 3, last);
      held->complete({});
    });
    Payload update;
    task->read(update, kNever, nullptr);
    task->cancel();
    require(task->ended(), "it has ended for its sender");
    const ReadResult then = task->read(update, kNever, nullptr);
    require(then != ReadResult::Update || task->state() == TaskState::Completed, "nothing is delivered after a cancel");
    task = nullptr;
  }
  world.check_ended(1);
}

void full_fifo_against_an_interrupt() {
  World world;
  const auto task = world.make_running(1);
  Interrupt interrupt;
  int sent = 0;
  UpdateResult last{};
  {
    Thread worker("worker", [&] { sent = send_updates(*task, 2, last, &interrupt); });
    Thread raiser("raiser", [&] { interrupt.raise(); });
  }
  require(sent == 1 && last == UpdateResult::Interrupted, "one place; the second waits until it is interrupted");
  task->cancel();
  world.check_ended(1);
}

void read_against_an_interrupt() {
  World world;
  const auto task = world.make_running();
  Interrupt interrupt;
  ReadResult end{};
  int received = 0;
  {
    Thread raiser("raiser", [&] { interrupt.raise(); });
    Thread worker("worker", [&] { task->update(payload_of("0"), nullptr); });
    received = read_all(*task, end, &interrupt);
  }
  require(end == ReadResult::Interrupted && received <= 1, "the reader is reached");
  interrupt.clear();
  task->complete({});
  require(received + (received == 0 ? read_all(*task, end) : 0) == 1, "an update that came later is still there");
}

void read_with_a_deadline() {
  World world;
  const auto task = world.make_running();
  ReadResult first{};
  {
    Thread worker("worker", [&] { task->complete({}); });
    Payload update;
    first = task->read(update, after(now(), milliseconds(1)), nullptr);
  }
  require(first == ReadResult::TimedOut || first == ReadResult::Completed, "one of the two");
  world.check_ended(1);
}

// For a sender that polls: what is readable can be read without waiting, and nothing is missed.
void sender_descriptor() {
  World world;
  const auto task = world.make_running(1);
  {
    Thread worker("worker", [&] {
      UpdateResult last;
      send_updates(*task, 2, last);
      task->complete({});
    });
    const int fd = task->sender_fd();
    int received = 0;
    for (;;) {
      poll(fd);
      Payload update;
      const ReadResult result = task->read(update, TimePoint{}, nullptr);
      require(result != ReadResult::TimedOut, "what is readable can be read");
      if (result == ReadResult::Completed) break;
      ++received;
    }
    require(received == 2, "all updates");
  }
  require(readable(task->sender_fd()), "an end stays readable");
}

void worker_descriptor() {
  World world;
  const auto task = world.make_running();
  {
    Thread worker("worker", [&] {
      poll(task->worker_fd());
      require(task->ended(), "readable means that the other side has ended it");
    });
    task->cancel();
  }
  require(readable(task->worker_fd()), "and it stays so");
}

// One sender waits for several tasks with a wake-up of its own, on its stack.
void waiting_for_the_first_of_two() {
  World world;
  const auto one = world.make_running(), other = world.make_running();
  Thread worker("worker-1", [&] { one->complete({}); });
  Thread second("worker-2", [&] { other->update(payload_of("0"), nullptr); });
  {
    Wakeup group;
    one->watch(&group);
    other->watch(&group);
    for (;;) {
      const Wakeup::Ticket ticket = group.ticket();
      if (one->readable() || other->readable()) break;
      group.wait(ticket, kNever);
    }
    one->watch(nullptr);
    other->watch(nullptr);
  }
  worker.join();
  second.join();
  other->cancel();
  world.check_ended(2);
}

}  // namespace

std::vector<Scenario> task_scenarios() {
  return {
      {"EveryEndAgainstEveryOther", all_orders(20), every_end_against_every_other},
      {"StartAgainstCancel", all_orders(3), start_against_cancel},
      {"UpdatesThroughAFullFifo", preemptions(3, 100), updates_through_a_full_fifo},
      {"FullFifoAgainstACancel", preemptions(3, 100), full_fifo_against_a_cancel},
      {"FullFifoAgainstItsSenderLeaving", preemptions(3, 100), full_fifo_against_its_sender_leaving},
      {"FullFifoAgainstAnInterrupt", all_orders(10), full_fifo_against_an_interrupt},
      {"ReadAgainstAnInterrupt", preemptions(3, 100), read_against_an_interrupt},
      {"ReadWithADeadline", all_orders(10), read_with_a_deadline},
      {"SenderDescriptor", preemptions(3, 50), sender_descriptor},
      {"WorkerDescriptor", all_orders(2), worker_descriptor},
      {"WaitingForTheFirstOfTwo", preemptions(3, 50), waiting_for_the_first_of_two},
  };
}

}  // namespace igor::interleave
