// What the tests of the core share: a WorkerHost whose scripts are plain functions, gates to order threads
// by, and a few words for payloads.
//
// Tests order threads by gates and by looking at states that must come (eventually()), never by sleeping.
// Nothing here bounds a wait: a test that hangs is ended by ctest's TIMEOUT, and so reported.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "module/interrupt.h"
#include "module/pool.h"
#include "module/sync.h"
#include "module/task.h"
#include "module/worker_host.h"
#include "module/worker_slot.h"

namespace igor::test {

// Opened once, for all who wait now or later.
class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
  }
  bool is_open() {
    std::lock_guard lock(mutex_);
    return open_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

// Until a state that another thread brings about is there.
template <typename Condition>
void eventually(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

inline Payload payload_of(std::string_view text) {
  return Payload::copy_of(text);
}
inline std::string text_of(const Payload& payload) {
  return payload.empty() ? std::string() : std::string(reinterpret_cast<const char*>(payload.data()), payload.size());
}

inline Failure failure_of(Reason reason, std::string message = {}, int exit_status = 0) {
  Failure failure;
  failure.reason = reason;
  failure.message = std::move(message);
  failure.exit_status = exit_status;
  return failure;
}
inline RunOutcome clean_end() {
  return {true, failure_of(Reason::Exited)};
}
inline RunOutcome crash(Reason reason = Reason::FatalError, std::string message = "it broke") {
  return {false, failure_of(reason, std::move(message), 255)};
}

// What a script has at hand.
class Script {
 public:
  Script(WorkerSlot& own_slot, Interrupt& own_interrupt) : slot(own_slot), interrupt(own_interrupt) {}

  // The next task; null when it is to stop, was interrupted or the deadline came (see `last`).
  Ref<Task> receive(TimePoint deadline = kNever) {
    for (;;) {
      last = slot.wait_signal(deadline, &interrupt, true);
      if (last != WorkerSlot::Signal::Task) return nullptr;
      if (Ref<Task> task = slot.claim()) return task;
    }
  }
  void complete(Ref<Task> task, std::string_view result = {}) {
    task->complete(result.empty() ? Payload() : payload_of(result));
    slot.release(*task);
  }
  // Serves until it is told to stop, with the payload as the result.
  RunOutcome echo() {
    while (Ref<Task> task = receive()) {
      const std::string text = text_of(task->payload());
      complete(std::move(task), text);
    }
    return clean_end();
  }

  WorkerSlot& slot;
  Interrupt& interrupt;
  WorkerSlot::Signal last = WorkerSlot::Signal::None;
};

class FakeHost : public WorkerHost {
 public:
  using Function = std::function<RunOutcome(Script&)>;

  FakeHost() : FakeHost([](Script& script) { return script.echo(); }) {}
  explicit FakeHost(Function function) : function_(std::move(function)) {}

  bool enter(WorkerSlot& slot, std::string& error) override {
    ++enters;
    if (refuse_enters.load() > 0) {
      --refuse_enters;
      error = "no room for another thread's engine";
      return false;
    }
    std::lock_guard lock(mutex_);
    interrupts_[&slot] = std::make_unique<Interrupt>();
    return true;
  }
  void leave(WorkerSlot& slot) override {
    {
      std::lock_guard lock(mutex_);
      interrupts_.erase(&slot);
    }
    ++leaves;  // last: whoever sees it may let go of the host
  }
  RunOutcome run(WorkerSlot& slot) override {
    const int number = ++runs;
    Interrupt* interrupt;
    Function function;
    {
      std::lock_guard lock(mutex_);
      interrupt = interrupts_.at(&slot).get();
      function = function_;
    }
    interrupt->clear();
    Script script(slot, *interrupt);
    run_number() = number;
    RunOutcome outcome = function(script);
    slot.script_ended(outcome.failure);
    return outcome;
  }
  void interrupt(WorkerSlot& slot) override {
    ++interruptions;
    std::lock_guard lock(mutex_);
    if (const auto place = interrupts_.find(&slot); place != interrupts_.end()) place->second->raise();
  }

  // For the next runs.
  void become(Function function) {
    std::lock_guard lock(mutex_);
    function_ = std::move(function);
  }
  // Of the run on this thread, counted over all slots from 1.
  static int& run_number() {
    thread_local int number = 0;
    return number;
  }

  std::atomic<int> enters{0}, leaves{0}, runs{0}, interruptions{0}, refuse_enters{0};

 private:
  Mutex mutex_;
  Function function_;
  std::map<WorkerSlot*, std::unique_ptr<Interrupt>> interrupts_;
};

// Drained at the end of the test at the latest.
class TestPool {
 public:
  TestPool(PoolOptions options, WorkerHost& host) : pool(Pool::create(std::move(options), host)) {}
  ~TestPool() { drain(); }
  size_t drain() {
    pool->begin_drain();
    return pool->finish_drain();
  }
  Pool* operator->() const { return pool.get(); }
  Pool& operator*() const { return *pool; }

  const std::shared_ptr<Pool> pool;
};

inline PoolOptions options_of(uint32_t num, uint32_t queue = 0) {
  PoolOptions options;
  options.name = "w";
  options.file = "/scripts/w";
  options.num = num;
  options.queue = queue;
  options.supervision.backoff_min = std::chrono::milliseconds(1);
  options.supervision.backoff_max = std::chrono::milliseconds(20);
  return options;
}

inline void start_and_wait(Pool& pool) {
  std::string error;
  Failure failure;
  ASSERT_TRUE(pool.start(error)) << error;
  ASSERT_TRUE(pool.wait_ready(kNever, error, failure)) << error;
}

inline Pool::Sent send(Pool& pool, std::string_view text = "x", TimePoint deadline = kNever) {
  return pool.send(payload_of(text), deadline, nullptr);
}

// How the task ended, its updates read and dropped.
inline Task::ReadResult end_of(Task& task) {
  for (;;) {
    Payload update;
    const Task::ReadResult result = task.read(update, kNever, nullptr);
    if (result != Task::ReadResult::Update) return result;
  }
}

}  // namespace igor::test
