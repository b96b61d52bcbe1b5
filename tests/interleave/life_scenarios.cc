// The life of a pool against its tasks: draining with and without a successor, pausing, threads that do not end.
#include "tests/interleave/pool_world.h"
#include "tests/interleave/scenarios.h"

namespace igor::interleave {
namespace {

using std::chrono::milliseconds;
using Worker = PoolWorld::Worker;
using SendResult = Pool::SendResult;

void drain_against_a_sender() {
  PoolWorld world;
  const auto pool = Pool::create(world.options(1), world.host);
  start(*pool);
  Thread sender("sender", [&] {
    const SendResult result = world.send_and_read(*pool);
    require(result == SendResult::Accepted || result == SendResult::ShuttingDown, "served, or told");
  });
  drain(*pool);
  sender.join();
  require(world.send_and_read(*pool) == SendResult::ShuttingDown, "nobody comes in any more");
  world.check(*pool);
}

// The worker is in the middle of its updates, the FIFO is full, and nobody reads before the pool is told to stop.
void drain_against_a_full_fifo() {
  PoolWorld world([](Worker& worker) {
    while (Ref<Task> task = worker.receive()) {
      for (uint32_t sent = 0; worker.update(*task, sent); ++sent) {
      }
      worker.leave(*task);
      return test::clean_end();
    }
    return test::clean_end();
  });
  PoolOptions options = world.options(1);
  options.updates = 1;
  const auto pool = Pool::create(std::move(options), world.host);
  start(*pool);
  const auto sent = pool->send(test::payload_of("x"), kNever, nullptr);
  require(static_cast<bool>(sent.task), "the worker waits or will");
  drain(*pool);
  world.read(*sent.task);
  require(sent.task->failure().reason == Reason::Shutdown, "the sender learns why");
  world.check(*pool);
}

// Every task that comes to the old pool is served, by one of the two.
void succession_against_a_sender() {
  PoolWorld world;
  const auto old = Pool::create(world.options(1, 1), world.host);
  start(*old);
  const auto next = Pool::create(world.options(1, 1), world.host, {}, old);
  start(*next);
  Thread sender("sender", [&] { require(world.send_and_read(*old) == SendResult::Accepted, "it is passed on"); });
  old->begin_drain(next);
  require(old->finish_drain() == 0, "its worker ends");
  sender.join();
  drain(*next);
  require(old->counters().completed == 1, "it was served");
  world.check(*old, false);
}

// The same when it hands over first, with a worker that keeps what it has, and drains later.
void hand_over_against_a_sender() {
  PoolWorld world;
  const auto old = Pool::create(world.options(1, 1), world.host);
  start(*old);
  const auto next = Pool::create(world.options(1, 1), world.host, {}, old);
  start(*next);
  {
    Thread sender("sender", [&] { require(world.send_and_read(*old) == SendResult::Accepted, "it is passed on"); });
    old->hand_over(next);
  }
  require(world.send_and_read(*old) == SendResult::Accepted, "it is still passed on");
  old->begin_drain();
  require(old->finish_drain() == 0, "its worker ends");
  require(world.send_and_read(*old) == SendResult::Accepted, "after its end, too");
  drain(*next);
  require(old->counters().completed == 3, "all were served");
  world.check(*old, false);
}

// The old pool's only place is taken, and it serves nobody: those who wait move along.
void succession_of_those_who_wait() {
  PoolWorld world;
  const auto old = Pool::create(world.options(0, 1), world.host);
  std::string error;
  require(old->pause(error), "it can be paused");
  const auto first = old->send(test::payload_of("first"), kNever, nullptr);
  const auto next = Pool::create(world.options(1), world.host, {}, old);
  start(*next);
  {
    Thread waits("waits", [&] {
      const SendResult result = world.send_and_read(*old, "second", after(now(), milliseconds(1)));
      require(result == SendResult::Accepted || result == SendResult::TimedOut, "a place, or its limit");
    });
    Thread leaves("leaves", [&] { world.cancel(*first.task); });
    old->begin_drain(next);
  }
  require(old->finish_drain() == 0, "it has no threads");
  require(world.send_and_read(*next) == SendResult::Accepted, "its worker waits for more");
  drain(*next);
  world.check(*old, false);
}

// Three pools in a row; each of the first two gives way to the next, one way or the other.
template <typename Reload, typename Next>
void succeed_at_once(Reload reload, Next next) {
  PoolWorld world;
  const auto first = Pool::create(world.options(0, 1), world.host);
  std::string error;
  require(first->pause(error), "it can be paused");
  const auto sent = first->send(test::payload_of("x"), kNever, nullptr);
  const auto second = Pool::create(world.options(0, 1), world.host, {}, first);
  const auto third = Pool::create(world.options(1, 1), world.host, {}, second);
  start(*third);
  {
    Thread one("reload", [&] { reload(first, second); });
    Thread other("next", [&] { next(second, third); });
    world.read(*sent.task, "x");
  }
  second->begin_drain(third);
  require(first->finish_drain() == 0 && second->finish_drain() == 0, "their workers end");
  drain(*third);
  require(third->counters().completed == 1, "it was served where it came to in the end");
  world.check(*third, false);
}

void two_successions_at_once() {
  const auto drains = [](const auto& pool, const auto& next) { pool->begin_drain(next); };
  succeed_at_once(drains, drains);
}

// A reload hands over while the next one hands over already, and the first drains.
void hand_overs_at_once() {
  succeed_at_once(
      [](const auto& pool, const auto& next) {
        pool->hand_over(next);
        pool->begin_drain(next);
      },
      [](const auto& pool, const auto& next) { pool->hand_over(next); });
}

void pause_and_resume_against_a_sender() {
  PoolWorld world;
  const auto pool = Pool::create(world.options(1, 1), world.host);
  start(*pool);
  {
    Thread sender("sender", [&] { require(world.send_and_read(*pool) == SendResult::Accepted, "in the end"); });
    std::string error;
    require(pool->pause(error), "it can be paused");
    require(pool->resume(error), "and resumed");
  }
  drain(*pool);
  require(pool->counters().completed == 1, "it was served");
  world.check(*pool);
}

void operator_drains_and_resumes_against_a_sender() {
  PoolWorld world;
  const auto pool = Pool::create(world.options(1, 1), world.host);
  start(*pool);
  {
    Thread sender("sender", [&] { require(world.send_and_read(*pool) == SendResult::Accepted, "in the end"); });
    std::string error;
    require(pool->drain(error), "its workers can be ended");
    require(pool->resume(error), "and started again");
  }
  drain(*pool);
  require(pool->counters().completed == 1, "it was served");
  world.check(*pool);
}

void a_worker_is_restarted_against_a_sender() {
  PoolWorld world;
  const auto pool = Pool::create(world.options(1), world.host);
  start(*pool);
  {
    Thread sender("sender", [&] { require(world.send_and_read(*pool) == SendResult::Accepted, "in the end"); });
    require(pool->restart_worker(0), "there is one");
  }
  drain(*pool);
  require(pool->counters().completed == 1, "it was served");
  world.check(*pool);
}

// It does not hear of the stop and is given up; then it comes back, and completes what it holds.
void a_lost_worker_comes_back() {
  Wakeup wakeup;
  Mutex mutex;
  bool may_end = false;
  bool completed = false;
  PoolWorld world([&](Worker& worker) {
    Ref<Task> task = worker.receive();
    std::unique_lock lock(mutex);
    while (!may_end) {
      const Wakeup::Ticket ticket = wakeup.ticket();
      lock.unlock();
      wakeup.wait(ticket, kNever);
      lock.lock();
    }
    lock.unlock();
    if (task) completed = worker.complete(std::move(task));
    return test::clean_end();
  });
  PoolOptions options = world.options(1);
  options.stop_grace = milliseconds(1);
  const auto pool = Pool::create(std::move(options), world.host);
  start(*pool);
  const auto sent = pool->send(test::payload_of("x"), kNever, nullptr);
  require(static_cast<bool>(sent.task), "the worker waits or will");
  {
    Thread releases("releases", [&] {
      {
        std::lock_guard lock(mutex);
        may_end = true;
      }
      wakeup.notify();
    });
    pool->begin_drain();
    pool->finish_drain();
  }
  world.read(*sent.task);
  if (completed) require(sent.task->state() == TaskState::Completed, "who completes it comes first");
  // The thread that was left behind is still under way.
  join_others();
  world.check(*pool);
}

void looking_against_publishing() {
  PoolWorld world([](Worker& worker) {
    WorkerSlot& slot = worker.script.slot;
    slot.pool().publish(slot, test::payload_of("1"));
    return worker.echo();
  });
  const auto pool = Pool::create(world.options(0), world.host);
  Thread looks("looks", [&] {
    const Pool::Look look = pool->look(kNever, nullptr);
    require(
        look.result == SendResult::Accepted ? look.snapshot->version() == 1 : look.result == SendResult::ShuttingDown,
        "the snapshot, or that there will be none");
  });
  drain(*pool);
  looks.join();
  world.check(*pool);
}

void publishing_across_a_succession() {
  PoolWorld world([](Worker& worker) {
    WorkerSlot& slot = worker.script.slot;
    slot.pool().publish(slot, test::payload_of("1"));
    return worker.echo();
  });
  const auto old = Pool::create(world.options(0), world.host);
  const auto next = Pool::create(world.options(1), world.host, {}, old);
  start(*next);
  Thread looks("looks", [&] {
    const Pool::Look look = old->look(kNever, nullptr);
    require(look.result == SendResult::Accepted, "one of the two publishes");
  });
  old->begin_drain(next);
  looks.join();
  require(old->finish_drain() == 0, "its worker ends");
  drain(*next);
  world.check(*old, false);
}

// With everything that ends or moves tasks at once.
void many_ends_at_once() {
  int runs = 0;
  PoolWorld world([&](Worker& worker) {
    const bool crashes = ++runs == 2;
    while (Ref<Task> task = worker.receive()) {
      if (crashes) {
        worker.leave(*task);
        return test::crash();
      }
      worker.update(*task, 0);
      worker.complete(std::move(task));
    }
    return test::clean_end();
  });
  PoolOptions options = world.options(2, 1);
  options.task_timeout = milliseconds(2);
  const auto old = Pool::create(options, world.host);
  start(*old);
  const auto next = Pool::create(options, world.host, {}, old);
  start(*next);
  {
    Thread reads("reads", [&] { world.send_and_read(*old, ""); });
    Thread leaves("leaves", [&] {
      const auto sent = old->send(test::payload_of("x"), after(now(), milliseconds(3)), nullptr);
      if (sent.task) world.cancel(*sent.task);
    });
    Thread operates("operator", [&] {
      std::string error;
      old->pause(error);
      old->restart_worker(0);
      old->resume(error);
    });
    old->begin_drain(next);
    old->finish_drain();
  }
  drain(*next);
  world.check(*next, false);
}

Settings that_may_stall(Settings settings) {
  settings.may_stall = true;
  return settings;
}

}  // namespace

std::vector<Scenario> life_scenarios() {
  return {
      {"DrainAgainstASender", preemptions(2, 50), drain_against_a_sender},
      {"DrainAgainstAFullFifo", preemptions(2, 50), drain_against_a_full_fifo},
      {"SuccessionAgainstASender", preemptions(2, 50), succession_against_a_sender},
      {"HandOverAgainstASender", preemptions(2, 50), hand_over_against_a_sender},
      {"HandOversAtOnce", preemptions(1, 50), hand_overs_at_once},
      {"SuccessionOfThoseWhoWait", preemptions(2, 50), succession_of_those_who_wait},
      {"TwoSuccessionsAtOnce", preemptions(1, 50), two_successions_at_once},
      {"PauseAndResumeAgainstASender", preemptions(2, 50), pause_and_resume_against_a_sender},
      {"OperatorDrainsAndResumesAgainstASender", preemptions(2, 50), operator_drains_and_resumes_against_a_sender},
      {"AWorkerIsRestartedAgainstASender", preemptions(2, 50), a_worker_is_restarted_against_a_sender},
      {"ALostWorkerComesBack", that_may_stall(preemptions(2, 50)), a_lost_worker_comes_back},
      {"LookingAgainstPublishing", preemptions(2, 20), looking_against_publishing},
      {"PublishingAcrossASuccession", preemptions(2, 20), publishing_across_a_succession},
      {"ManyEndsAtOnce", at_random(5000), many_ends_at_once},
  };
}

}  // namespace igor::interleave
