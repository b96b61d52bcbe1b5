// Configuration loads that follow each other: what is the same stays, what changed is succeeded, what is gone
// drains, and a load that fails has changed nothing.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "module/generation.h"
#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::hours;
using test::FakeHost;
using test::Gate;
using test::Script;
using test::text_of;
using testing::HasSubstr;
using ReadResult = Task::ReadResult;
using SendResult = Pool::SendResult;

class Reload : public testing::Test {
 protected:
  static PoolOptions named(std::string name, uint32_t num) {
    PoolOptions options = test::options_of(num, 8);
    options.name = std::move(name);
    options.stop_grace = hours(1);
    return options;
  }
  static void add(Scope& scope, PoolOptions options) {
    std::string error;
    ASSERT_TRUE(scope.add(std::move(options), error)) << error;
  }
  static void start(Generation& generation) {
    std::string error;
    ASSERT_TRUE(generation.start(error)) << error;
  }
  static std::shared_ptr<Pool> find(const std::shared_ptr<Scope>& scope, std::string_view name) {
    std::shared_ptr<Pool> pool;
    EXPECT_EQ(scope->find(name, pool), Scope::Lookup::Found) << name;
    return pool;
  }
  static ReadResult run(Pool& pool) { return test::end_of(*test::send(pool).task); }

  FakeHost host;
};

TEST_F(Reload, APoolWithTheSameOptionsIsThatPool) {
  auto one = std::make_unique<Generation>(host);
  const auto server = one->add_scope("server");
  add(*one->global(), named("g", 1));
  add(*server, named("w", 2));
  start(*one);
  const auto g = find(one->global(), "g"), w = find(server, "w");

  auto two = std::make_unique<Generation>(host, one.get());
  const auto server2 = two->add_scope("server");
  add(*two->global(), named("g", 1));
  add(*server2, named("w", 2));
  EXPECT_EQ(find(two->global(), "g"), g);
  EXPECT_EQ(find(server2, "w"), w);
  EXPECT_EQ(w->home(), server) << "not started yet";
  start(*two);
  EXPECT_EQ(w->home(), server2);
  EXPECT_EQ(g->home(), two->global());
  EXPECT_EQ(one->close(), 0u);
  one.reset();
  EXPECT_FALSE(w->draining());
  EXPECT_EQ(run(*w), ReadResult::Completed);
  EXPECT_EQ(host.enters, 3) << "nothing was started twice";
  EXPECT_EQ(host.runs, 3);
  EXPECT_EQ(two->close(), 0u);
  EXPECT_TRUE(w->draining());
  EXPECT_EQ(host.leaves, 3);
}

TEST_F(Reload, WhatMakesAPoolAnother) {
  const PoolOptions same = named("w", 1);
  EXPECT_TRUE(same.same_as(same));
  const std::vector<std::function<void(PoolOptions&)>> changes = {
      [](PoolOptions& o) { o.kind = PoolKind::Requests; },
      [](PoolOptions& o) { o.file = "/other"; },
      [](PoolOptions& o) { o.env.emplace_back("A", "b"); },
      [](PoolOptions& o) { o.settings = "memory_limit=1G\n"; },
      [](PoolOptions& o) { o.catch_all = true; },
      [](PoolOptions& o) { o.num = 2; },
      [](PoolOptions& o) { o.max_threads = 3; },
      [](PoolOptions& o) { o.queue = 1; },
      [](PoolOptions& o) { o.overflow_reject = true; },
      [](PoolOptions& o) { o.updates = 17; },
      [](PoolOptions& o) { o.max_payload = 1; },
      [](PoolOptions& o) { o.task_timeout = hours(1); },
      [](PoolOptions& o) { o.stop_grace = hours(2); },
      [](PoolOptions& o) { o.boot_timeout = hours(1); },
      [](PoolOptions& o) { o.dispatch = DispatchPolicy::LeastBusy; },
      [](PoolOptions& o) { o.max_tasks = 1; },
      [](PoolOptions& o) { o.max_memory = 1; },
      [](PoolOptions& o) { o.max_wait = hours(1); },
      [](PoolOptions& o) { o.supervision.backoff_min = hours(1); },
      [](PoolOptions& o) { o.supervision.backoff_max = hours(1); },
      [](PoolOptions& o) { o.supervision.max_consecutive_failures = 1; },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    PoolOptions changed = same;
    changes[i](changed);
    EXPECT_FALSE(same.same_as(changed)) << "change " << i;
  }
  PoolOptions other = same;
  other.host_data = std::make_shared<int>();
  other.observer = [](const Task&, std::string_view) {};
  other.max_threads = 1;  // what 0 stands for
  EXPECT_TRUE(same.same_as(other));
}

TEST_F(Reload, AChangedPoolIsSucceededWithItsQueue) {
  Gate holding, release;
  FakeHost holder([&](Script& script) {
    if (script.slot.options().max_tasks == 0) {  // the old one
      Ref<Task> task = script.receive();
      if (!task) return test::clean_end();
      holding.open();
      release.wait();
      script.complete(std::move(task), "old");
    }
    return script.echo();
  });
  Generation one(holder);
  add(*one.global(), named("w", 1));
  start(one);
  const auto old = find(one.global(), "w");
  const auto held = test::send(*old, "held").task;
  holding.wait();
  const auto queued = test::send(*old, "queued").task;

  Generation two(holder, &one);
  PoolOptions changed = named("w", 1);
  changed.max_tasks = 100;
  add(*two.global(), changed);
  const auto next = find(two.global(), "w");
  EXPECT_NE(next, old);
  start(two);
  std::thread closer([&] { EXPECT_EQ(one.close(), 0u); });
  EXPECT_EQ(test::end_of(*queued), ReadResult::Completed) << "by the new pool, while the old one is still busy";
  EXPECT_EQ(text_of(queued->result()), "queued");
  EXPECT_EQ(test::send(*old, "late").result, SendResult::Accepted);
  release.open();
  closer.join();
  EXPECT_EQ(test::end_of(*held), ReadResult::Completed);
  EXPECT_EQ(next->counters().accepted, 3u);
  two.close();
}

TEST_F(Reload, NewPoolsTakeOverWhenTheOldGenerationHandsOver) {
  Generation one(host);
  PoolOptions listed = named("w", 1), lazy = named("lazy", 0), any = named("", 0);
  for (PoolOptions* options : {&listed, &lazy, &any}) add(*one.global(), *options);
  start(one);
  const auto w = find(one.global(), "w"), l = find(one.global(), "lazy"), made = find(one.global(), "made");
  EXPECT_EQ(run(*l), ReadResult::Completed);
  for (PoolOptions* options : {&listed, &lazy, &any}) options->task_timeout = hours(2);

  Generation two(host, &one);
  for (PoolOptions* options : {&listed, &lazy, &any}) add(*two.global(), *options);
  start(two);
  EXPECT_EQ(find(one.global(), "w"), w) << "Caddy may yet go back";
  EXPECT_FALSE(w->relieved());
  one.hand_over();
  EXPECT_EQ(w->successor(), find(two.global(), "w"));
  EXPECT_FALSE(w->draining());
  const auto next = find(two.global(), "lazy");
  EXPECT_EQ(l->successor(), next);
  test::eventually([&] { return next->size() == 1; });  // what the old one's worker published, nobody else would
  EXPECT_EQ(made->successor(), find(two.global(), "made"));
  EXPECT_EQ(made->successor()->size(), 0u) << "none has run";
  // Old requests look names up in the new configuration, those that a catch-all has yet to make among them.
  EXPECT_EQ(find(one.global(), "w"), find(two.global(), "w"));
  const auto late = find(one.global(), "late");
  EXPECT_EQ(late, find(two.global(), "late"));
  EXPECT_EQ(run(*w), ReadResult::Completed);
  EXPECT_EQ(one.close(), 0u);
  EXPECT_EQ(run(*w), ReadResult::Completed);
  EXPECT_EQ(two.close(), 0u);
}

TEST_F(Reload, APoolThatIsBeingRestartedIsNotHandedOver) {
  Generation one(host);
  add(*one.global(), named("w", 1));
  start(one);
  const auto w = find(one.global(), "w");
  Generation two(host, &one);
  add(*two.global(), named("w", 1));
  start(two);
  // In the middle of Pool::restart(): the new pool stands in one scope already, and not yet in the other.
  const auto fresh = Pool::create(w->options(), host, two.global(), w);
  test::start_and_wait(*fresh);
  ASSERT_TRUE(one.global()->attach(fresh) && two.global()->attach(fresh));
  ASSERT_TRUE(one.global()->replace(w, fresh));
  one.hand_over();
  EXPECT_FALSE(fresh->relieved());
  EXPECT_FALSE(w->relieved());
  ASSERT_TRUE(two.global()->replace(w, fresh));
  w->begin_drain(fresh);
  EXPECT_EQ(run(*find(two.global(), "w")), ReadResult::Completed);
  EXPECT_EQ(one.close(), 0u);
  EXPECT_EQ(run(*w), ReadResult::Completed);
  EXPECT_EQ(two.close(), 0u);
}

// The last of all generations that still has requests is what the next one follows, though it has handed over long ago.
TEST_F(Reload, ARelievedPoolIsNotKept) {
  FakeHost publisher([](Script& script) {
    script.slot.pool().publish(script.slot, test::payload_of(script.slot.options().env.empty() ? "one" : "other"));
    return script.echo();
  });
  Generation one(publisher);
  add(*one.global(), named("w", 1));
  start(one);
  const auto w = find(one.global(), "w");
  PoolOptions changed = named("w", 1);
  changed.env = {{"KEY", "value"}};
  Generation two(publisher, &one);
  add(*two.global(), changed);
  start(two);
  one.hand_over();
  EXPECT_EQ(two.close(), 0u);
  EXPECT_EQ(test::send(*w).result, SendResult::ShuttingDown);

  Generation three(publisher, &one);
  add(*three.global(), named("w", 1));
  start(three);
  const auto now_there = find(three.global(), "w");
  EXPECT_NE(now_there, w);
  EXPECT_FALSE(now_there->relieved());
  EXPECT_EQ(run(*now_there), ReadResult::Completed);
  test::eventually([&] { return text_of(now_there->look(kNever, nullptr).snapshot->payload()) == "one"; });
  std::string error;
  EXPECT_TRUE(now_there->restart(error)) << error;
  EXPECT_EQ(one.close(), 0u);
  EXPECT_EQ(three.close(), 0u);
}

TEST_F(Reload, AChangedEntrypointMakesAnotherPool) {
  const std::string file = testing::TempDir() + "igor-reload-" + std::to_string(getpid());
  std::ofstream(file) << "one";
  PoolOptions options = named("w", 1);
  options.file = file;
  Generation one(host);
  add(*one.global(), options);
  start(one);
  Generation same(host, &one);
  add(*same.global(), options);
  EXPECT_EQ(find(same.global(), "w"), find(one.global(), "w"));
  std::ofstream(file) << "changed";
  Generation two(host, &one);
  add(*two.global(), options);
  EXPECT_NE(find(two.global(), "w"), find(one.global(), "w"));
  same.close();
  two.close();
  one.close();
  std::remove(file.c_str());
}

TEST_F(Reload, ALoadThatFailsLeavesTheOldOneAsItWas) {
  FakeHost picky([](Script& script) {
    return script.slot.options().name == "bad" ? test::crash(Reason::FatalError, "no such class") : script.echo();
  });
  Generation one(picky);
  add(*one.global(), named("w", 1));
  add(*one.global(), named("changes", 1));
  start(one);
  const auto w = find(one.global(), "w"), changes = find(one.global(), "changes");
  const auto home = w->home();
  {
    Generation two(picky, &one);
    add(*two.global(), named("w", 1));
    add(*two.global(), named("changes", 2));
    PoolOptions bad = named("bad", 1);
    bad.supervision.max_consecutive_failures = 1;
    add(*two.global(), bad);
    std::string error;
    EXPECT_FALSE(two.start(error));
    EXPECT_THAT(error,
                HasSubstr("background worker \"bad\" (/scripts/w) failed once before it was ready: no such class"));
    EXPECT_EQ(two.close(), 0u);
  }
  for (const auto& pool : {w, changes}) {
    EXPECT_FALSE(pool->draining());
    EXPECT_EQ(pool->home(), home);
    EXPECT_EQ(run(*pool), ReadResult::Completed);
  }
  // And the next load follows the one that runs.
  Generation three(picky, &one);
  add(*three.global(), named("w", 1));
  EXPECT_EQ(find(three.global(), "w"), w);
  start(three);
  one.close();
  EXPECT_TRUE(changes->draining());
  EXPECT_FALSE(w->draining());
  three.close();
}

TEST_F(Reload, AKeptPoolThatFailsDoesNotForbidTheLoad) {
  std::atomic<bool> broken{false};
  FakeHost breaks([&](Script& script) { return broken ? test::crash() : script.echo(); });
  Generation one(breaks);
  PoolOptions options = named("w", 1);
  options.supervision.max_consecutive_failures = 1;
  options.supervision.backoff_max = hours(1);
  add(*one.global(), options);
  start(one);
  const auto pool = find(one.global(), "w");
  broken = true;
  EXPECT_TRUE(pool->restart_worker(0));
  test::eventually([&] { return pool->stats().breaker_open; });
  Generation two(breaks, &one);
  add(*two.global(), options);
  start(two);
  one.close();
  two.close();
}

TEST_F(Reload, APoolThatIsGoneDrainsAndItsTasksFail) {
  Gate holding, release;
  FakeHost holder([&](Script& script) {
    Ref<Task> task = script.receive();
    if (!task) return test::clean_end();
    holding.open();
    release.wait();
    script.complete(std::move(task));
    return script.echo();
  });
  Generation one(holder);
  add(*one.global(), named("w", 1));
  start(one);
  const auto old = find(one.global(), "w");
  const auto held = test::send(*old).task;
  holding.wait();
  const auto queued = test::send(*old).task;
  Generation two(holder, &one);
  start(two);
  std::thread closer([&] { one.close(); });
  EXPECT_EQ(test::end_of(*queued), ReadResult::Failed);
  EXPECT_EQ(queued->failure().reason, Reason::Shutdown);
  release.open();
  closer.join();
  EXPECT_EQ(test::end_of(*held), ReadResult::Completed);
}

TEST_F(Reload, ScopesFollowEachOtherByTheirLabels) {
  Generation one(host);
  const auto a = one.add_scope("a"), b = one.add_scope("b"), a_again = one.add_scope("a");
  for (const auto& scope : {a, b, a_again}) add(*scope, named("w", 0));
  start(one);
  Generation two(host, &one);
  const auto b2 = two.add_scope("b"), a2 = two.add_scope("a"), c2 = two.add_scope("c"), a2_again = two.add_scope("a");
  for (const auto& scope : {b2, a2, c2, a2_again}) add(*scope, named("w", 0));
  EXPECT_EQ(find(a2, "w"), find(a, "w"));
  EXPECT_EQ(find(b2, "w"), find(b, "w"));
  EXPECT_EQ(find(a2_again, "w"), find(a_again, "w"));
  const auto others = {find(a, "w"), find(b, "w"), find(a_again, "w")};
  EXPECT_EQ(std::count(others.begin(), others.end(), find(c2, "w")), 0);
}

TEST_F(Reload, PoolsOfACatchAllAreKeptNameByName) {
  Generation one(host);
  add(*one.global(), named("", 0));
  start(one);
  const auto made = find(one.global(), "made");
  EXPECT_EQ(run(*made), ReadResult::Completed);
  Generation two(host, &one);
  add(*two.global(), named("", 0));
  start(two);
  const auto later = find(one.global(), "later");  // the old configuration still serves
  EXPECT_EQ(find(two.global(), "made"), made);
  one.close();
  EXPECT_FALSE(made->draining());
  EXPECT_FALSE(later->draining()) << "kept at the last moment";
  EXPECT_EQ(find(two.global(), "later"), later);
  EXPECT_EQ(made->home(), two.global());
  EXPECT_EQ(run(*later), ReadResult::Completed);
  two.close();
  EXPECT_TRUE(made->draining());
}

TEST_F(Reload, AChangedCatchAllSucceedsThePoolsItMade) {
  Generation one(host);
  add(*one.global(), named("", 0));
  start(one);
  const auto made = find(one.global(), "made");
  EXPECT_EQ(run(*made), ReadResult::Completed);
  Generation two(host, &one);
  PoolOptions changed = named("", 0);
  changed.env = {{"A", "b"}};
  add(*two.global(), changed);
  start(two);
  one.close();
  const auto next = find(two.global(), "made");
  EXPECT_NE(next, made);
  EXPECT_EQ(made->successor(), next);
  EXPECT_EQ(run(*made), ReadResult::Completed);
  EXPECT_EQ(next->counters().completed, 2u);
  two.close();
}

TEST_F(Reload, AClosedScopeResolvesNamesInTheOneThatFollows) {
  auto one = std::make_unique<Generation>(host);
  const auto scope = one->add_scope("server");
  add(*scope, named("w", 0));
  start(*one);
  auto two = std::make_unique<Generation>(host, one.get());
  two->add_scope("server");
  start(*two);
  one.reset();
  auto three = std::make_unique<Generation>(host, two.get());
  add(*three->add_scope("server"), named("new", 0));
  add(*three->global(), named("global", 0));
  start(*three);
  two.reset();
  EXPECT_EQ(run(*find(scope, "new")), ReadResult::Completed);
  EXPECT_EQ(run(*find(scope, "global")), ReadResult::Completed);
  three.reset();
}

TEST_F(Reload, PoolsOfRequestsFollowEachOtherApartFromThoseOfTasks) {
  FakeHost server([](Script& script) {
    script.slot.ready();
    while (!script.slot.stopping()) {
      const auto ticket = script.slot.wakeup().ticket();
      if (!script.slot.stopping()) script.slot.wakeup().wait(ticket, kNever);
    }
    return test::clean_end();
  });
  PoolOptions requests = named("w", 1);
  requests.kind = PoolKind::Requests;
  requests.host_data = std::make_shared<int>(1);
  Generation one(server);
  add(*one.global(), requests);
  std::string error;
  std::shared_ptr<Pool> pool;
  EXPECT_FALSE(one.global()->add(requests, error));
  EXPECT_EQ(one.global()->find("w", pool), Scope::Lookup::NoWorkers) << "a task is never sent to one";
  start(one);
  const auto old = one.global()->pool(PoolKind::Requests, "w");
  ASSERT_TRUE(old);
  Generation two(server, &one);
  PoolOptions changed = requests;
  changed.max_tasks = 7;
  changed.host_data = std::make_shared<int>(2);
  add(*two.global(), changed);
  start(two);
  one.close();
  const auto next = two.global()->pool(PoolKind::Requests, "w");
  EXPECT_EQ(old->successor(), next);
  EXPECT_EQ(next->options().host_data, old->options().host_data);
  two.close();
}

}  // namespace
}  // namespace igor
