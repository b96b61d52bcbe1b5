// The queue in front of HTTP workers, each of its rules, and all of them at once under load. Without an engine,
// so that it runs under ThreadSanitizer.
#include "sapi/request_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "module/timers.h"
#include "tests/sapi/exchange/queue_host.h"

namespace igor::sapi {
namespace {

using igor::test::eventually;
using igor::test::start_and_wait;
using igor::test::TestPool;
using std::chrono::hours;
using std::chrono::milliseconds;
using test::Client;
using test::Gate;
using test::QueueHost;
using test::Script;

std::shared_ptr<RequestQueue> new_queue(RequestQueue::Options options = {}) {
  return std::make_shared<RequestQueue>(std::move(options));
}

PoolOptions options_of(const std::shared_ptr<RequestQueue>& queue, uint32_t num, std::string name = "w") {
  PoolOptions options = igor::test::options_of(num);
  options.kind = PoolKind::Requests;
  options.name = std::move(name);
  options.stop_grace = hours(1);
  options.host_data = queue;
  return options;
}

void all_idle(const std::shared_ptr<RequestQueue>& queue, uint32_t count) {
  eventually([&] { return queue->load().idle == count; });
}

// Long enough for the queue to have looked after those that wait, twice at least. Whoever expects that nothing
// happens meanwhile can be wrong on a slow machine only in the harmless direction.
void after_some_looks() {
  Gate gate;
  Timers::global().schedule(after(now(), milliseconds(250)), [&] { gate.open(); });
  gate.wait();
}

// --- who gets what --------------------------------------------------------------------------------------

TEST(RequestQueue, TheWorkerThatBecameIdleLastIsTheFirstToServe) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool pool(options_of(queue, 3), host);
  start_and_wait(*pool);
  all_idle(queue, 3);
  std::vector<std::string> order;
  {
    const std::array<std::string, 3> paths = {"/hold/a", "/hold/b", "/hold/c"};
    std::vector<Client> clients;
    for (const std::string& path : paths) clients.emplace_back(path, pool.pool);
    for (size_t i = 0; i < 3; ++i) {
      host.at(paths[i]).go.open();
      order.push_back(clients[i].answer().body);
      all_idle(queue, static_cast<uint32_t>(i + 1));
    }
  }
  EXPECT_NE(order[0], order[1]);
  EXPECT_NE(order[1], order[2]);
  std::vector<Client> clients;
  for (const char* path : {"/hold/d", "/hold/e", "/hold/f"}) {
    clients.emplace_back(path, pool.pool);
    host.at(path).began.wait();
  }
  for (const char* path : {"/hold/d", "/hold/e", "/hold/f"}) host.at(path).go.open();
  EXPECT_EQ(clients[0].answer().body, order[2]);
  EXPECT_EQ(clients[1].answer().body, order[1]);
  EXPECT_EQ(clients[2].answer().body, order[0]);
}

TEST(RequestQueue, RequestsAreServedInTheOrderInWhichTheyCame) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool pool(options_of(queue, 1), host);
  start_and_wait(*pool);
  Client held("/hold/0", pool.pool);
  host.at("/hold/0").began.wait();
  std::vector<Client> clients;
  for (const char* path : {"/1", "/2", "/3", "/4"}) clients.emplace_back(path, pool.pool);
  EXPECT_EQ(queue->load().waiting, 4u);
  EXPECT_EQ(queue->load().idle, 0u);
  host.at("/hold/0").go.open();
  EXPECT_EQ(held.answer().status, 200);
  for (Client& client : clients) EXPECT_EQ(client.answer().body, "w #0");
  EXPECT_EQ(host.served(), (std::vector<std::string>{"/hold/0", "/1", "/2", "/3", "/4"}));
}

TEST(RequestQueue, ARequestThatWaitedTooLongIsRefusedAndNeverServed) {
  for (const bool by_pool : {true, false}) {
    QueueHost host;
    RequestQueue::Options queue_options;
    queue_options.max_wait = by_pool ? Duration(hours(1)) : milliseconds(5);
    const auto queue = new_queue(queue_options);
    PoolOptions options = options_of(queue, 1);
    if (by_pool) options.max_wait = milliseconds(5);
    TestPool pool(options, host);
    start_and_wait(*pool);
    Client held("/hold/0", pool.pool);
    host.at("/hold/0").began.wait();
    Client late("/late", pool.pool), later("/later", pool.pool);
    EXPECT_TRUE(late.answer().refused);
    EXPECT_TRUE(later.answer().refused);
    EXPECT_EQ(queue->load().waiting, 0u);
    host.at("/hold/0").go.open();
    EXPECT_EQ(held.answer().status, 200);
    EXPECT_EQ(Client("/next", pool.pool).answer().status, 200);
    EXPECT_EQ(host.served(), (std::vector<std::string>{"/hold/0", "/next"}));
  }
}

TEST(RequestQueue, ARequestWhoseClientLeftIsTakenOut) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool pool(options_of(queue, 1), host);
  start_and_wait(*pool);
  Client held("/hold/0", pool.pool);
  host.at("/hold/0").began.wait();
  Client leaves("/leaves", pool.pool), stays("/stays", pool.pool);
  leaves.request->give_up();
  EXPECT_TRUE(leaves.request->finished());
  EXPECT_EQ(queue->load().waiting, 1u);
  EXPECT_FALSE(queue->withdraw(*leaves.request)) << "it is not in it any more";
  EXPECT_FALSE(queue->withdraw(*held.request)) << "it is being served";
  host.at("/hold/0").go.open();
  EXPECT_EQ(stays.answer().status, 200);
  EXPECT_EQ(held.answer().status, 200);
  EXPECT_EQ(host.served(), (std::vector<std::string>{"/hold/0", "/stays"}));
}

// --- interrupts -----------------------------------------------------------------------------------------

// Handed over and interrupted before it took it: the request is another's, as good as new.
TEST(RequestQueue, AnInterruptedWorkerHandsBackWhatItHasNotTaken) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool pool(options_of(queue, 2), host);
  start_and_wait(*pool);
  std::atomic<WorkerSlot*> hit{nullptr};
  host.on_request = [&](Script& script, HttpRequest& request) {
    if (request.request_uri() == "/warm") hit = &script.slot;
    if (request.request_uri() == "/x" && &script.slot != hit.load()) {
      EXPECT_FALSE(request.gone());
    }
  };
  for (int i = 0; i < 300; ++i) {
    all_idle(queue, 2);
    EXPECT_EQ(Client("/warm", pool.pool).answer().status, 200);
    all_idle(queue, 2);  // the one that served is the next to serve
    Client client("/x", pool.pool);
    host.interrupt(*hit.load());
    EXPECT_FALSE(client.answer().refused);
    eventually([&] { return pool->stats().ready == 2; });
  }
}

// The request that is handed back waits no longer than any other.
TEST(RequestQueue, WhatWasHandedBackHasABoundToo) {
  QueueHost host;
  const auto queue = new_queue();
  PoolOptions options = options_of(queue, 1);
  options.max_wait = milliseconds(5);
  for (int i = 0; i < 50; ++i) {
    Gate again;
    std::atomic<int> runs{0};
    host.become([&](Script& script) {
      if (++runs > 1) again.wait();
      return host.serve(script);
    });
    TestPool pool(options, host);
    start_and_wait(*pool);
    all_idle(queue, 1);
    host.interrupt_any(*queue, 0);
    Client client("/x", pool.pool);
    EXPECT_TRUE(client.answer().refused);
    again.open();
  }
}

// What an earlier request went through does not count for the next one.
TEST(RequestQueue, AnInterruptEndsTheWaitOfTheRequestThatIsServed) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool pool(options_of(queue, 1), host);
  start_and_wait(*pool);
  for (int i = 0; i < 20; ++i) {
    const std::string path = "/read/" + std::to_string(i);
    Client client(path, 1000);
    client.submit(pool.pool);
    host.at(path).began.wait();
    std::thread waits([&] { EXPECT_FALSE(client.answer().refused); });
    host.interrupt_any(*queue, 0);
    waits.join();
  }
}

TEST(RequestQueue, AWorkerThatIsLeftBehindAnswersItsClientAndCountsNoMore) {
  QueueHost host;
  ThreadBudget budget;
  budget.set_bound(8);
  RequestQueue::Options queue_options;
  queue_options.budget = &budget;
  const auto queue = new_queue(queue_options);
  {
    PoolOptions options = options_of(queue, 1);
    options.stop_grace = Duration::zero();
    TestPool pool(options, host);
    start_and_wait(*pool);
    Client stuck("/hold/stuck", pool.pool);
    host.at("/hold/stuck").began.wait();
    EXPECT_TRUE(pool->restart_worker(0));
    const Client::Answer answer = stuck.answer();
    EXPECT_FALSE(answer.refused);
    EXPECT_EQ(answer.status, 500);
    eventually([&] { return pool->stats().lost == 1; });
    EXPECT_EQ(Client("/next", pool.pool).answer().body, "w #1");
    EXPECT_EQ(budget.used(), 0u) << "the one in its place is not one more";
    host.at("/hold/stuck").go.open();
    eventually([&] { return host.leaves == 1; });
    EXPECT_EQ(budget.used(), 0u);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(RequestQueue, APartOfAnAnswerNeverPassesForTheWhole) {
  QueueHost host;
  host.on_request = [](Script&, HttpRequest& request) {
    request.begin_headers(200);
    request.write("half", 4);
    request.flush();
  };
  const auto queue = new_queue();
  PoolOptions options = options_of(queue, 1);
  options.stop_grace = Duration::zero();
  TestPool pool(options, host);
  start_and_wait(*pool);
  Client stuck("/hold/stuck", pool.pool);
  std::thread operator_([&] {
    host.at("/hold/stuck").began.wait();
    EXPECT_TRUE(pool->restart_worker(0));
  });
  const Client::Answer answer = stuck.answer();
  operator_.join();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "half");
  EXPECT_TRUE(answer.refused) << "its caller cuts the connection";
  host.at("/hold/stuck").go.open();
}

// --- successors -----------------------------------------------------------------------------------------

TEST(RequestQueue, ASuccessorTakesWhatWaits) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool old(options_of(queue, 1, "old"), host);
  start_and_wait(*old);
  Client held("/hold/0", old.pool);
  host.at("/hold/0").began.wait();
  Client first("/1", old.pool), second("/2", old.pool);
  const auto young = Pool::create(options_of(nullptr, 1, "young"), host, {}, old.pool);
  start_and_wait(*young);
  EXPECT_EQ(first.answer().body, "young #0");
  EXPECT_EQ(second.answer().body, "young #0");
  old->begin_drain(young);
  EXPECT_EQ(Client("/3", old.pool).answer().body, "young #0") << "whoever still comes to the old one";
  host.at("/hold/0").go.open();
  EXPECT_EQ(held.answer().body, "old #0");
  old.drain();
  young->begin_drain();
  young->finish_drain();
}

// A successor that has no thread yet is a successor all the same.
TEST(RequestQueue, ASuccessorThatHasNotStartedIsStartedForWhatWaits) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool old(options_of(queue, 1, "old"), host);
  start_and_wait(*old);
  Client held("/hold/0", old.pool);
  host.at("/hold/0").began.wait();
  Client waits("/1", old.pool);
  const auto young = Pool::create(options_of(nullptr, 1, "young"), host, {}, old.pool);
  old->begin_drain(young);
  EXPECT_EQ(waits.answer().body, "young #0");
  host.at("/hold/0").go.open();
  EXPECT_EQ(held.answer().body, "old #0");
  old.drain();
  young->begin_drain();
  young->finish_drain();
}

TEST(RequestQueue, NoOldCodeForRequestsOfANewPool) {
  QueueHost host, young_host;
  ThreadBudget budget;
  budget.set_bound(8);
  RequestQueue::Options queue_options;
  queue_options.budget = &budget;
  queue_options.cpu_left = [] { return true; };
  const auto queue = new_queue(queue_options);
  PoolOptions options = options_of(queue, 1, "old");
  options.max_threads = 4;
  TestPool old(options, host);
  start_and_wait(*old);
  all_idle(queue, 1);
  Gate boots;
  young_host.become([&](Script& script) {
    boots.wait();
    return young_host.serve(script);
  });
  const auto successor = Pool::create(options_of(nullptr, 1, "young"), young_host, {}, old.pool);
  Client client("/1", successor);
  EXPECT_EQ(Client("/2", old.pool).answer().body, "old #0") << "the old one goes on for its own";
  // Started by the look after those that wait, which by then has thought of the old one too.
  eventually([&] { return young_host.runs == 1; });
  after_some_looks();
  EXPECT_EQ(old->size(), 1u) << "a worker more of the old code would be of no help";
  EXPECT_EQ(queue->load().waiting, 1u);
  boots.open();
  EXPECT_EQ(client.answer().body, "young #0");
  EXPECT_EQ(host.served(), std::vector<std::string>{"/2"});
  old->begin_drain(successor);
  old.drain();
  successor->begin_drain();
  successor->finish_drain();
}

TEST(RequestQueue, RequestsOfANewPoolThatStopsAreAnyones) {
  QueueHost host, young_host;
  const auto queue = new_queue();
  TestPool old(options_of(queue, 1, "old"), host);
  start_and_wait(*old);
  all_idle(queue, 1);
  Gate boots;
  young_host.become([&](Script&) {
    boots.wait();
    return igor::test::clean_end();
  });
  const auto young = Pool::create(options_of(nullptr, 1, "young"), young_host, {}, old.pool);
  Client client("/1", young);
  eventually([&] { return young_host.runs == 1; });
  EXPECT_EQ(queue->load().waiting, 1u);
  young->begin_drain();
  EXPECT_EQ(client.answer().body, "old #0");
  boots.open();
  young->finish_drain();
}

// --- refusals -------------------------------------------------------------------------------------------

TEST(RequestQueue, RefusedWhenTheBreakerIsOpenAndNobodyLives) {
  QueueHost host;
  const auto queue = new_queue();
  PoolOptions options = options_of(queue, 2);
  options.supervision.max_consecutive_failures = 1;
  options.supervision.backoff_max = hours(1);
  options.supervision.backoff_min = hours(1);
  Gate dies;
  host.become([&](Script& script) {
    if (script.slot.index() == 1) return host.serve(script);
    dies.wait();
    return igor::test::crash();
  });
  TestPool pool(options, host);
  std::string error;
  ASSERT_TRUE(pool->start(error)) << error;
  eventually([&] { return pool->stats().ready == 1; });
  dies.open();
  eventually([&] { return pool->stats().breaker_open; });
  // One lives: what comes waits for it.
  Client held("/hold/0", pool.pool);
  host.at("/hold/0").began.wait();
  Client waits("/1", pool.pool);
  after_some_looks();
  EXPECT_EQ(queue->load().waiting, 1u);
  host.become([](Script&) { return igor::test::crash(); });
  // It dies of what it serves.
  Client kills("/crash/0", pool.pool), hopeless("/2", pool.pool);
  host.at("/hold/0").go.open();
  EXPECT_EQ(held.answer().status, 200);
  EXPECT_EQ(waits.answer().status, 200);
  EXPECT_EQ(kills.answer().status, 500);
  EXPECT_TRUE(hopeless.answer().refused);
  EXPECT_TRUE(Client("/3", pool.pool).answer().refused);
}

TEST(RequestQueue, RefusedWhenThePoolStopsWithoutASuccessor) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool pool(options_of(queue, 1), host);
  start_and_wait(*pool);
  Client held("/hold/0", pool.pool);
  host.at("/hold/0").began.wait();
  Client waits("/1", pool.pool);
  pool->begin_drain();
  EXPECT_TRUE(waits.answer().refused);
  EXPECT_TRUE(Client("/2", pool.pool).answer().refused);
  host.at("/hold/0").go.open();
  EXPECT_EQ(held.answer().status, 200) << "what is served is served to its end";
}

TEST(RequestQueue, AWorkerThatDiesServesAgain) {
  QueueHost host;
  const auto queue = new_queue();
  TestPool pool(options_of(queue, 1), host);
  start_and_wait(*pool);
  Client kills("/crash/0", pool.pool);
  Client next("/1", pool.pool);
  EXPECT_EQ(kills.answer().status, 500);
  EXPECT_EQ(next.answer().status, 200);
}

// --- more and fewer workers -----------------------------------------------------------------------------

struct Growing {
  explicit Growing(uint32_t num, uint32_t max_threads, uint32_t bound) {
    budget.set_bound(bound);
    RequestQueue::Options options;
    options.budget = &budget;
    options.max_idle = milliseconds(20);
    options.cpu_left = [this] {
      ++asked;
      return cpu_left.load();
    };
    queue = new_queue(options);
    pool_options = options_of(queue, num);
    pool_options.max_threads = max_threads;
  }
  void hold(Pool& pool, int count) {
    for (int i = 0; i < count; ++i) {
      clients.emplace_back("/hold/" + std::to_string(clients.size()), pool.shared_from_this());
    }
  }
  void let_go() {
    for (size_t i = 0; i < clients.size(); ++i) host.at("/hold/" + std::to_string(i)).go.open();
    for (Client& client : clients) EXPECT_EQ(client.answer().status, 200);
    clients.clear();
  }

  QueueHost host;
  ThreadBudget budget;
  std::atomic<bool> cpu_left{true};
  std::atomic<int> asked{0};
  std::shared_ptr<RequestQueue> queue;
  PoolOptions pool_options;
  std::vector<Client> clients;
};

TEST(RequestQueue, WorkersAreAddedWhileRequestsWaitAndEndWhenIdle) {
  Growing g(1, 3, 8);
  {
    TestPool pool(g.pool_options, g.host);
    start_and_wait(*pool);
    EXPECT_EQ(g.budget.used(), 0u);
    g.hold(*pool, 4);
    eventually([&] { return g.queue->load().waiting == 1; });
    EXPECT_EQ(pool->size(), 3u);
    EXPECT_EQ(g.budget.used(), 2u);
    after_some_looks();
    EXPECT_EQ(pool->size(), 3u) << "max_threads";
    EXPECT_EQ(g.budget.used(), 2u);
    g.let_go();
    eventually([&] { return pool->size() == 1 && g.budget.used() == 0; });
    eventually([&] { return g.queue->load().idle == 1; });
    EXPECT_EQ(Client("/x", pool.pool).answer().status, 200);
  }
  EXPECT_EQ(g.budget.used(), 0u);
}

TEST(RequestQueue, TheBudgetOfAllPoolsIsABound) {
  Growing g(1, 4, 1);
  TestPool pool(g.pool_options, g.host);
  start_and_wait(*pool);
  g.hold(*pool, 4);
  eventually([&] { return g.queue->load().waiting == 2; });
  after_some_looks();
  EXPECT_EQ(pool->size(), 2u);
  EXPECT_EQ(g.budget.used(), 1u);
  g.budget.set_bound(2);
  eventually([&] { return g.queue->load().waiting == 1; });
  EXPECT_EQ(g.budget.used(), 2u);
  EXPECT_EQ(pool->size(), 3u);
  g.let_go();
}

TEST(RequestQueue, NoWorkerIsAddedToBusyCpus) {
  Growing g(1, 4, 8);
  g.cpu_left = false;
  TestPool pool(g.pool_options, g.host);
  start_and_wait(*pool);
  g.hold(*pool, 2);
  eventually([&] { return g.asked >= 3; });
  EXPECT_EQ(pool->size(), 1u);
  EXPECT_EQ(g.budget.used(), 0u);
  g.cpu_left = true;
  eventually([&] { return g.queue->load().waiting == 0; });
  EXPECT_EQ(pool->size(), 2u);
  g.let_go();
}

// The coldest worker began to wait when there was none too many.
TEST(RequestQueue, AWorkerThatBecameIdleBeforeThereWereTooManyEndsToo) {
  Growing g(1, 2, 8);
  TestPool pool(g.pool_options, g.host);
  start_and_wait(*pool);
  all_idle(g.queue, 1);
  Gate busy, go;
  g.host.become([&](Script& script) {
    // The second one has joined, and is not idle.
    busy.open();
    go.wait();
    return g.host.serve(script);
  });
  std::string error;
  ASSERT_TRUE(pool->grow(error)) << error;
  busy.wait();
  eventually([&] { return g.host.leaves == 1; });
  eventually([&] { return pool->size() == 1 && g.budget.used() == 0; });
  go.open();
  EXPECT_EQ(Client("/x", pool.pool).answer().body, "w #1");
}

TEST(RequestQueue, AnEnteringThatFailsCostsTheBudgetNothingInTheEnd) {
  Growing g(1, 3, 8);
  {
    TestPool pool(g.pool_options, g.host);
    start_and_wait(*pool);
    g.host.refuse_enters = 3;
    g.hold(*pool, 3);
    eventually([&] { return g.queue->load().waiting == 0; });
    EXPECT_EQ(g.budget.used(), 2u);
    g.let_go();
  }
  EXPECT_EQ(g.budget.used(), 0u);
}

TEST(RequestQueue, NothingIsLeftWhenThePoolsAreGone) {
  Growing g(1, 4, 8);
  std::weak_ptr<RequestQueue> queue = g.queue;
  {
    TestPool pool(g.pool_options, g.host);
    start_and_wait(*pool);
    g.hold(*pool, 3);
    eventually([&] { return g.queue->load().waiting == 0; });
    const auto young = Pool::create(g.pool_options, g.host, {}, pool.pool);
    std::string error;
    EXPECT_TRUE(young->start(3, error)) << error;
    eventually([&] { return young->stats().ready == 3; });
    EXPECT_GE(g.budget.used(), 2u);
    pool->begin_drain(young);
    g.let_go();
    pool.drain();
    young->begin_drain();
    young->finish_drain();
    EXPECT_EQ(g.budget.used(), 0u);
  }
  g.queue.reset();
  g.pool_options.host_data.reset();
  eventually([&] { return queue.expired(); });  // a timer may hold it for a moment
}

// --- all at once ----------------------------------------------------------------------------------------

// Clients of all conducts, workers that crash, are interrupted, restarted, added and retired, pools that are
// replaced, and replacements that do not start: each request is answered once or refused, and nobody hangs.
class Storm {
 public:
  static constexpr int kClients = 6;

  Storm(unsigned seed, int requests) : seed_(seed), requests_(requests), served_(kClients * requests) {
    budget_.set_bound(4);
    RequestQueue::Options options;
    options.budget = &budget_;
    options.max_idle = milliseconds(3);
    options.cpu_left = [] { return true; };
    queue_ = new_queue(options);
    host_.keep_record = false;
    host_.on_request = [this](Script& script, HttpRequest& request) {
      const std::string path(request.request_uri());
      EXPECT_EQ(++served_[std::stoul(path.substr(path.rfind('/') + 1))], 1) << path << " is served twice";
      if (path.starts_with("/new/")) {
        const std::string& name = script.slot.options().name;
        const size_t asked = std::stoul(path.substr(5));
        if (std::stoul(name) < asked && !given_up_[asked % given_up_.size()]) {
          ADD_FAILURE() << path << " is served by the old code of " << name;
        }
      }
    };
  }

  void run() {
    {
      std::shared_ptr<Pool> first = Pool::create(options(), host_);
      start_and_wait(*first);
      current_ = first;
    }
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) clients.emplace_back([this, i] { client(i); });
    std::thread breaks([this] { break_things(); });
    std::thread replaces([this] { replace_pools(); });
    for (std::thread& thread : clients) thread.join();
    over_ = true;
    breaks.join();
    replaces.join();
    current_->begin_drain();
    current_->finish_drain();
    EXPECT_EQ(queue_->load().waiting, 0u);
    EXPECT_EQ(queue_->load().idle, 0u);
    EXPECT_EQ(budget_.used(), 0u);
    EXPECT_GT(answered_, 0);
    const std::weak_ptr<RequestQueue> gone = queue_;
    queue_.reset();
    current_.reset();
    eventually([&] { return gone.expired(); });
  }

 private:
  PoolOptions options() {
    PoolOptions options = options_of(queue_, 2, std::to_string(++pools_));
    options.max_threads = 4;
    options.stop_grace = milliseconds(2);
    options.max_tasks = 40;
    options.supervision.backoff_max = milliseconds(4);
    return options;
  }

  std::shared_ptr<Pool> current() {
    std::lock_guard lock(mutex_);
    return current_;
  }

  void client(int index) {
    std::mt19937 random(seed_ + static_cast<unsigned>(index));
    enum { Patient, Aborts, GivesUp, AbortsWhileWaiting, Impatient };
    for (int i = 0; i < requests_; ++i) {
      const size_t id = static_cast<size_t>(index * requests_ + i);
      const std::shared_ptr<Pool> pool = current();
      const char* const kinds[] = {"/", "/", "/", "/read/", "/crash/", "/new/"};
      std::string path = kinds[random() % std::size(kinds)];
      if (path == "/crash/" && random() % 4 != 0) path = "/";
      const bool reads = path == "/read/";
      if (path == "/new/") path += pool->options().name + "/";
      Client client(path + std::to_string(id), reads ? 1000 : 0);
      client.submit(pool);
      // Bodies that never come are waited for until the worker is interrupted, or the client goes.
      const auto conduct = random() % 12;
      std::thread other;
      if (conduct == Aborts || (reads && conduct > 6)) client.request->abort();
      if (conduct == AbortsWhileWaiting) other = std::thread([request = client.request] { request->abort(); });
      if (conduct == GivesUp) {
        if (random() % 2 == 0) std::this_thread::yield();
        client.request->give_up();
        ++gave_up_;
      } else {
        const Client::Answer answer = client.answer();
        const int served = served_[id].load();
        EXPECT_EQ(served, answer.refused ? 0 : 1) << path << id;
        ++(answer.refused ? refused_ : answered_);
      }
      if (other.joinable()) other.join();
    }
  }

  void break_things() {
    std::mt19937 random(seed_ + 1000);
    while (!over_) {
      const std::shared_ptr<Pool> pool = current();
      switch (random() % 3) {
        case 0:
          pool->restart_worker(random() % 4);
          break;
        case 1:
          host_.interrupt_any(*queue_, random());
          break;
        default:
          std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      }
    }
  }

  void replace_pools() {
    std::mt19937 random(seed_ + 2000);
    while (!over_) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 10000));
      const std::shared_ptr<Pool> old = current();
      const std::shared_ptr<Pool> young = Pool::create(options(), host_, {}, old);
      given_up_[pools_ % given_up_.size()] = false;
      std::string error;
      const bool fails = random() % 3 == 0;
      const bool late = random() % 3 == 0;
      // Clients come to it from here on, before it is known whether it starts.
      if (!late) {
        EXPECT_TRUE(young->start(error)) << error;
      }
      {
        std::lock_guard lock(mutex_);
        current_ = young;
      }
      if (fails) {
        {
          std::lock_guard lock(mutex_);
          current_ = old;
        }
        given_up_[pools_ % given_up_.size()] = true;
        young->begin_drain();
        young->finish_drain();
        continue;
      }
      Failure failure;
      if (late) {
        EXPECT_TRUE(young->start(error)) << error;
      }
      if (random() % 2 == 0) young->wait_ready(after(now(), milliseconds(5)), error, failure);
      old->begin_drain(young);
      old->finish_drain();
    }
  }

  const unsigned seed_;
  const int requests_;
  std::vector<std::atomic<int>> served_;
  std::array<std::atomic<bool>, 4096> given_up_{};
  std::atomic<bool> over_{false};
  std::atomic<int> answered_{0}, refused_{0}, gave_up_{0};
  std::atomic<uint32_t> pools_{0};
  ThreadBudget budget_;
  std::shared_ptr<RequestQueue> queue_;
  QueueHost host_;
  std::mutex mutex_;
  std::shared_ptr<Pool> current_;
};

TEST(RequestQueueStress, EveryRequestIsAnsweredOnce) {
  const char* const given = std::getenv("IGOR_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
  const char* const length = std::getenv("IGOR_STORM");  // requests of each client; more for a longer run
  SCOPED_TRACE("IGOR_SEED=" + std::to_string(seed));
  Storm(seed, length != nullptr ? std::atoi(length) : 300).run();
}

}  // namespace
}  // namespace igor::sapi
