// Tasks on their way through a pool that runs: sending, offers, claims, updates, the ends of senders and scripts.
#include "tests/interleave/pool_world.h"
#include "tests/interleave/scenarios.h"

namespace igor::interleave {
namespace {

using std::chrono::milliseconds;
using Worker = PoolWorld::Worker;
using SendResult = Pool::SendResult;

void one_sends_one_serves() {
  PoolWorld world;
  const auto pool = Pool::create(world.options(1), world.host);
  start(*pool);
  require(world.send_and_read(*pool) == SendResult::Accepted, "nobody is in its way");
  drain(*pool);
  require(pool->counters().completed == 1, "it was completed");
  world.check(*pool);
}

// Two senders announce what they send, and a third thinks better of it; one of the two workers ends meanwhile.
void announced_tasks() {
  bool ended = false;
  PoolWorld world([&](Worker& worker) {
    if (worker.script.slot.index() == 0 && !ended) {
      ended = true;
      worker.script.slot.poll_signal();
      return test::clean_end();
    }
    return worker.echo();
  });
  const auto pool = Pool::create(world.options(2), world.host);
  start(*pool);
  {
    Thread other("other", [&] {
      pool->announce(milliseconds(1));
      require(world.send_and_read(*pool, "b") == SendResult::Accepted, "somebody serves it");
    });
    Thread gives_up("gives up", [&] { pool->announce(milliseconds(1)); });
    pool->announce(milliseconds(1));
    require(world.send_and_read(*pool, "a") == SendResult::Accepted, "somebody serves it");
  }
  drain(*pool);
  require(pool->counters().completed == 2, "both were completed");
  world.check(*pool);
}

// A lazy pool: the first send starts the thread.
void send_cancel_and_timeout() {
  PoolWorld world;
  PoolOptions options = world.options(0, 1);
  options.task_timeout = milliseconds(1);
  const auto pool = Pool::create(std::move(options), world.host);
  {
    Thread leaves("leaves", [&] {
      const auto sent = pool->send(test::payload_of("a"), kNever, nullptr);
      require(static_cast<bool>(sent.task), "the queue has a place");
      world.cancel(*sent.task);
    });
    require(world.send_and_read(*pool, "b") == SendResult::Accepted, "it waits at most for a place");
  }
  drain(*pool);
  world.check(*pool);
}

// By somebody who is not its sender.
void operator_cancels() {
  PoolWorld world;
  const auto pool = Pool::create(world.options(1), world.host);
  start(*pool);
  const auto sent = pool->send(test::payload_of("x"), kNever, nullptr);
  {
    Thread operates("operator", [&] {
      if (const auto task = pool->find_task(sent.task->id())) world.operator_cancels(*task);
    });
    world.read(*sent.task, "x");
  }
  drain(*pool);
  world.check(*pool);
}

// No place: one waits with a limit, one until it is interrupted, while one is served.
void waiting_for_a_place() {
  PoolWorld world;
  const auto pool = Pool::create(world.options(1), world.host);
  start(*pool);
  Interrupt interrupt;
  {
    Thread patient("patient",
                   [&] { require(world.send_and_read(*pool, "patient") == SendResult::Accepted, "its turn comes"); });
    Thread limited("limited", [&] {
      const SendResult result = world.send_and_read(*pool, "limited", after(now(), milliseconds(1)));
      require(result == SendResult::Accepted || result == SendResult::TimedOut, "a place or the limit");
    });
    Thread interrupted("interrupted", [&] {
      const SendResult result = world.send_and_read(*pool, "interrupted", kNever, &interrupt);
      require(result == SendResult::Accepted || result == SendResult::Interrupted, "a place or the interrupt");
    });
    interrupt.raise();
  }
  drain(*pool);
  world.check(*pool);
}

// Who waits for a place gets that of a task that is cancelled in the queue.
void a_cancel_makes_room() {
  PoolWorld world;
  const auto pool = Pool::create(world.options(0, 1), world.host);
  std::string error;
  require(pool->pause(error), "it can be paused");
  const auto sent = pool->send(test::payload_of("first"), kNever, nullptr);
  {
    Thread waits("waits", [&] { world.send_and_read(*pool, "second"); });
    world.cancel(*sent.task);
    require(pool->resume(error), "and resumed");
  }
  drain(*pool);
  require(pool->counters().completed == 1, "the second was served");
  world.check(*pool);
}

// A worker that asked, and whose offer is not sure to be claimed: it looks for a signal, does something else, and
// ends. The other one waits.
void an_offer_moves_on() {
  bool told = false;
  PoolWorld world([&](Worker& worker) {
    if (worker.script.slot.index() == 0 && !told) {
      told = true;
      worker.script.slot.poll_signal();
      return test::clean_end();
    }
    return worker.echo();
  });
  const auto pool = Pool::create(world.options(2), world.host);
  start(*pool);
  require(world.send_and_read(*pool) == SendResult::Accepted, "somebody waits for it");
  drain(*pool);
  require(pool->counters().completed == 1, "it was served by one of the two");
  world.check(*pool);
}

// It does something else until the other one has served it.
void an_offer_to_a_busy_worker() {
  Mutex mutex;
  Condition changed;
  bool served = false;
  PoolWorld world([&](Worker& worker) {
    if (worker.script.slot.index() == 0) {
      worker.script.slot.poll_signal();
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return served; });
    }
    return worker.echo();
  });
  const auto pool = Pool::create(world.options(2), world.host);
  start(*pool);
  require(world.send_and_read(*pool) == SendResult::Accepted, "the other waits for it");
  {
    std::lock_guard lock(mutex);
    served = true;
    changed.notify_all();
  }
  drain(*pool);
  world.check(*pool);
}

// The same against the sender's leaving: what the first was offered is withdrawn, it still waits, and gets the next.
void an_offer_is_withdrawn() {
  PoolWorld world([](Worker& worker) {
    WorkerSlot& slot = worker.script.slot;
    if (slot.index() == 0) {
      while (slot.poll_signal() == WorkerSlot::Signal::None && !slot.stopping()) {
        if (slot.wait_signal(kNever, &worker.script.interrupt) != WorkerSlot::Signal::Task) break;
        if (Ref<Task> task = worker.claim()) worker.complete(std::move(task), "first");
      }
    }
    return worker.echo();
  });
  const auto pool = Pool::create(world.options(2), world.host);
  start(*pool);
  {
    Thread leaves("leaves", [&] {
      const auto sent = pool->send(test::payload_of("a"), kNever, nullptr);
      world.cancel(*sent.task);
    });
    require(world.send_and_read(*pool, "") == SendResult::Accepted, "somebody waits for it");
  }
  drain(*pool);
  world.check(*pool);
}

// An event loop that polls the slot's descriptor.
RunOutcome serve_by_descriptor(Worker& worker) {
  for (;;) {
    poll(worker.script.slot.signal_fd(false));
    if (worker.script.slot.stopping()) return test::clean_end();
    if (Ref<Task> task = worker.claim()) worker.complete(std::move(task), "polled");
  }
}

void signal_descriptor() {
  PoolWorld world(serve_by_descriptor);
  const auto pool = Pool::create(world.options(1, 1), world.host);
  start(*pool);
  {
    Thread leaves("leaves", [&] {
      const auto sent = pool->send(test::payload_of("a"), kNever, nullptr);
      if (sent.task) world.cancel(*sent.task);
    });
    require(world.send_and_read(*pool, "") == SendResult::Accepted, "the worker polls");
  }
  drain(*pool);
  world.check(*pool);
}

// One that is polled by the loop itself: it asks once, and after each claim the slot waits by itself.
void signal_descriptor_that_is_kept() {
  PoolWorld world([](Worker& worker) {
    const int fd = worker.script.slot.signal_fd(true);
    for (;;) {
      poll(fd);
      if (worker.script.slot.stopping()) return test::clean_end();
      if (Ref<Task> task = worker.claim()) worker.complete(std::move(task), "polled");
    }
  });
  const auto pool = Pool::create(world.options(1, 1), world.host);
  start(*pool);
  {
    Thread other("other", [&] { world.send_and_read(*pool, ""); });
    require(world.send_and_read(*pool, "") == SendResult::Accepted, "the worker polls");
  }
  drain(*pool);
  require(pool->counters().completed == 2, "both were served");
  world.check(*pool);
}

// A script that ends with a task: its sender learns of it, and the next run goes on.
void a_crash_against_a_cancel() {
  int crashes = 0;
  PoolWorld world([&](Worker& worker) {
    while (Ref<Task> task = worker.receive()) {
      if (crashes++ == 0) {
        worker.leave(*task);
        return test::crash();
      }
      worker.complete(std::move(task), "later");
    }
    return test::clean_end();
  });
  const auto pool = Pool::create(world.options(1), world.host);
  start(*pool);
  const auto sent = pool->send(test::payload_of("x"), kNever, nullptr);
  {
    Thread operates("operator", [&] { world.operator_cancels(*sent.task); });
    world.read(*sent.task);
  }
  require(world.send_and_read(*pool, "") == SendResult::Accepted, "it was started again");
  drain(*pool);
  world.check(*pool);
}

void a_script_that_is_never_ready() {
  PoolWorld world([](Worker&) { return test::crash(); });
  PoolOptions options = world.options(1);
  options.supervision.max_consecutive_failures = 2;
  const auto pool = Pool::create(std::move(options), world.host);
  start(*pool);
  const SendResult result = world.send_and_read(*pool);
  require(result == SendResult::WorkerFailed || result == SendResult::BreakerOpen, "nobody will serve it");
  drain(*pool);
  world.check(*pool);
}

void recycling_against_senders() {
  PoolWorld world;
  PoolOptions options = world.options(1, 1);
  options.max_tasks = 1;
  const auto pool = Pool::create(std::move(options), world.host);
  start(*pool);
  {
    Thread other("other", [&] { world.send_and_read(*pool, "a"); });
    world.send_and_read(*pool, "b");
  }
  drain(*pool);
  require(pool->counters().completed == 2, "both were served");
  world.check(*pool);
}

// Everything at once: two workers, three senders, updates, a limit, a cancel, a deadline.
void many_at_once() {
  PoolWorld world([](Worker& worker) {
    while (Ref<Task> task = worker.receive()) {
      uint32_t sent = 0;
      while (sent < 2 && worker.update(*task, sent)) ++sent;
      worker.complete(std::move(task));
    }
    return test::clean_end();
  });
  PoolOptions options = world.options(2, 1);
  options.updates = 1;
  options.task_timeout = milliseconds(2);
  const auto pool = Pool::create(std::move(options), world.host);
  start(*pool);
  {
    Thread reads("reads", [&] { world.send_and_read(*pool, ""); });
    Thread limited("limited", [&] { world.send_and_read(*pool, "", after(now(), milliseconds(1))); });
    Thread leaves("leaves", [&] {
      const auto sent = pool->send(test::payload_of("x"), kNever, nullptr);
      require(static_cast<bool>(sent.task), "its turn comes");
      world.read_update(*sent.task, 0);
      world.cancel(*sent.task);
    });
  }
  drain(*pool);
  world.check(*pool);
}

}  // namespace

std::vector<Scenario> pool_scenarios() {
  return {
      {"OneSendsOneServes", preemptions(3, 50), one_sends_one_serves},
      {"AnnouncedTasks", preemptions(1, 100), announced_tasks},
      {"SendCancelAndTimeout", preemptions(2, 100), send_cancel_and_timeout},
      {"OperatorCancels", preemptions(2, 50), operator_cancels},
      {"WaitingForAPlace", preemptions(1, 100), waiting_for_a_place},
      {"ACancelMakesRoom", preemptions(2, 50), a_cancel_makes_room},
      {"AnOfferMovesOn", preemptions(2, 50), an_offer_moves_on},
      {"AnOfferToABusyWorker", preemptions(1, 50), an_offer_to_a_busy_worker},
      {"AnOfferIsWithdrawn", preemptions(1, 50), an_offer_is_withdrawn},
      {"SignalDescriptor", preemptions(2, 50), signal_descriptor},
      {"SignalDescriptorThatIsKept", preemptions(2, 50), signal_descriptor_that_is_kept},
      {"ACrashAgainstACancel", preemptions(2, 50), a_crash_against_a_cancel},
      {"AScriptThatIsNeverReady", preemptions(2, 20), a_script_that_is_never_ready},
      {"RecyclingAgainstSenders", preemptions(2, 50), recycling_against_senders},
      {"ManyAtOnce", at_random(5000), many_at_once},
  };
}

}  // namespace igor::interleave
