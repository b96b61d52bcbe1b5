// A pool with virtual threads for its workers, and the history of all its tasks (tests/stress/history.h), written by
// both sides and checked when the scenario ends.
#pragma once

#include <string>
#include <utility>

#include "tests/interleave/explore.h"
#include "tests/interleave/heap.h"
#include "tests/module/fake_host.h"
#include "tests/stress/history.h"

namespace igor::interleave {

class PoolWorld {
 public:
  // What a script does, and its part of the history.
  class Worker {
   public:
    Worker(PoolWorld& world, test::Script& own)
        : script(own), world_(world), run_(static_cast<uint64_t>(test::FakeHost::run_number())) {}

    // The next task; null when it is to stop or was interrupted.
    Ref<Task> receive() { return got(script.receive()); }
    Ref<Task> claim() { return got(script.slot.claim()); }
    // An updated text is its number.
    bool update(Task& task, uint32_t number) {
      if (task.update(test::payload_of(std::to_string(number)), &script.interrupt) != Task::UpdateResult::Sent) {
        return false;
      }
      world_.write([&](auto& history) { history.worker_sent(task.id(), number); });
      return true;
    }
    bool complete(Ref<Task> task, std::string_view result = {}) {
      const bool took = task->complete(result.empty() ? Payload() : test::payload_of(result));
      world_.write([&](auto& history) { history.worker_ends(task->id(), TaskState::Completed, took); });
      script.slot.release(*task);
      return took;
    }
    // Its script is about to end with the task in hand.
    void leave(const Task& task) {
      world_.write([&](auto& history) { history.worker_left(task.id()); });
    }
    RunOutcome echo() {
      while (Ref<Task> task = receive()) {
        const std::string text = test::text_of(task->payload());
        complete(std::move(task), text);
      }
      return test::clean_end();
    }

    test::Script& script;

   private:
    Ref<Task> got(Ref<Task> task) {
      if (task) world_.write([&](auto& history) { history.worker_got(task->id(), script.slot, run_); });
      return task;
    }

    PoolWorld& world_;
    const uint64_t run_;
  };
  using Function = std::function<RunOutcome(Worker&)>;

  explicit PoolWorld(Function script = [](Worker& worker) { return worker.echo(); })
      : host([this, script](test::Script& own) {
          Worker worker(*this, own);
          return script(worker);
        }) {}

  PoolOptions options(uint32_t num, uint32_t queue = 0) {
    PoolOptions options = test::options_of(num, queue);
    // No jitter, so that the same happens again.
    options.supervision.backoff_min = options.supervision.backoff_max = Duration(1);
    options.observer = [this](const Task& task, std::string_view event) {
      write([&](auto& history) { history.observe(task, event); });
    };
    options.steps = [this](const Task& task, const TaskStep& step) {
      write([&](auto& history) { history.step(task, step); });
    };
    return options;
  }

  // Sends, reads to the end, and writes down what it saw.
  Pool::SendResult send_and_read(Pool& pool, std::string_view text = "x", TimePoint deadline = kNever,
                                 Interrupt* interrupt = nullptr) {
    const Pool::Sent sent = pool.send(test::payload_of(text), deadline, interrupt);
    if (sent.task) read(*sent.task, text);
    return sent.result;
  }
  // `result`: what it is, if the task is completed; empty: anything.
  void read(Task& task, std::string_view result = {}) {
    uint32_t received = 0;
    while (read_update(task, received)) ++received;
    if (task.state() == TaskState::Completed && !result.empty()) {
      require(test::text_of(task.result()) == result, "the result is that of this task");
    }
    write([&](auto& history) { history.sender_saw(task.id(), task.state(), true); });
  }
  bool read_update(Task& task, uint32_t number) {
    Payload update;
    if (task.read(update, kNever, nullptr) != Task::ReadResult::Update) return false;
    require(test::text_of(update) == std::to_string(number), "updates come in order");
    write([&](auto& history) { history.sender_received(task.id(), number); });
    return true;
  }
  // By its sender.
  void cancel(Task& task) {
    write([&](auto& history) { history.sender_cancels(task.id()); });
    task.cancel();
    require(task.ended(), "a cancelled task has ended");
    write([&](auto& history) {
      history.sender_cancelled(task.id());
      history.sender_saw(task.id(), task.state(), false);
    });
  }
  // By somebody else.
  bool operator_cancels(Task& task) {
    write([&](auto& history) { history.operator_cancels(task.id()); });
    return task.cancel("enough");
  }

  // Once all pools have been drained. `in_order`: none of its tasks went to another pool.
  void check(const Pool& pool, bool in_order = true) {
    write([&](auto& history) { history.check({&pool.counters()}, in_order); });
  }

 private:
  template <typename Function>
  void write(Function function) {
    const heap::Unwatched unwatched;
    function(history_);
  }

  stress::History history_;

 public:
  test::FakeHost host;  // ends before the history that it writes
};

inline void start(Pool& pool) {
  std::string error;
  require(pool.start(error), "it starts");
}
inline void drain(Pool& pool) {
  pool.begin_drain();
  require(pool.finish_drain() == 0, "no thread is left behind");
}

}  // namespace igor::interleave
