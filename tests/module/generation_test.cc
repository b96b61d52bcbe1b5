#include "module/generation.h"

#include <gmock/gmock.h>

#include <thread>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

using std::chrono::milliseconds;
using test::FakeHost;
using test::Gate;
using test::Script;
using testing::HasSubstr;

PoolOptions named(std::string name, uint32_t num) {
  PoolOptions options = test::options_of(num);
  options.name = std::move(name);
  return options;
}

void add(Scope& scope, PoolOptions options) {
  std::string error;
  ASSERT_TRUE(scope.add(std::move(options), error)) << error;
}

TEST(Generation, StartsAllPoolsThatHaveNumAndNoOther) {
  FakeHost host;
  Generation generation(host);
  add(*generation.global(), named("a", 2));
  add(*generation.global(), named("lazy", 0));
  add(*generation.add_scope("server"), named("b", 1));
  std::string error;
  EXPECT_TRUE(generation.start(error)) << error;
  EXPECT_EQ(host.enters, 3);
  EXPECT_EQ(generation.close(), 0u);
  EXPECT_EQ(host.leaves, 3);
  EXPECT_EQ(generation.close(), 0u) << "twice";
}

TEST(Generation, AnEmptyOneStartsAndCloses) {
  FakeHost host;
  Generation generation(host);
  std::string error;
  EXPECT_TRUE(generation.start(error));
  EXPECT_EQ(generation.close(), 0u);
}

TEST(Generation, APoolThatNeverGetsReadyFailsTheStartWithItsOwnWords) {
  FakeHost host([](Script& script) {
    if (script.slot.options().name == "good") return script.echo();
    RunOutcome outcome = test::crash(Reason::UncaughtException, "no such table");
    outcome.failure.file = "/scripts/bad.php";
    outcome.failure.line = 12;
    return outcome;
  });
  Generation generation(host);
  add(*generation.global(), named("good", 1));
  PoolOptions bad = named("bad", 1);
  bad.supervision.max_consecutive_failures = 2;
  add(*generation.add_scope("server"), bad);
  std::string error;
  EXPECT_FALSE(generation.start(error));
  EXPECT_THAT(error, HasSubstr("background worker \"bad\""));
  EXPECT_THAT(error, HasSubstr("no such table in /scripts/bad.php on line 12"));
  EXPECT_EQ(generation.close(), 0u) << "half started, wholly closed";
}

TEST(Generation, ScopesOutliveItAndTheirPoolsRefuse) {
  FakeHost host;
  std::shared_ptr<Scope> scope;
  {
    Generation generation(host);
    scope = generation.add_scope("server");
    add(*scope, named("w", 1));
    add(*scope, named("", 0));
    add(*generation.global(), named("g", 0));
    std::string error;
    ASSERT_TRUE(generation.start(error)) << error;
  }  // closes
  std::shared_ptr<Pool> pool;
  ASSERT_EQ(scope->find("w", pool), Scope::Lookup::Found);
  EXPECT_EQ(test::send(*pool).result, Pool::SendResult::ShuttingDown);
  ASSERT_EQ(scope->find("g", pool), Scope::Lookup::Found);
  EXPECT_EQ(test::send(*pool).result, Pool::SendResult::ShuttingDown);
  EXPECT_EQ(scope->find("new", pool), Scope::Lookup::Closed);
}

TEST(Generation, CatchAllPoolsAreClosedToo) {
  FakeHost host;
  Generation generation(host);
  add(*generation.global(), named("", 0));
  std::shared_ptr<Pool> pool;
  ASSERT_EQ(generation.global()->find("made", pool), Scope::Lookup::Found);
  EXPECT_EQ(test::end_of(*test::send(*pool).task), Task::ReadResult::Completed);
  EXPECT_EQ(generation.close(), 0u);
  EXPECT_TRUE(pool->draining());
  EXPECT_EQ(host.leaves, 1);
}

TEST(Generation, TheNewOneServesWhileTheOldOneDrains) {
  Gate holding, release;
  FakeHost host([&](Script& script) {
    Ref<Task> task = script.receive();
    if (task && test::text_of(task->payload()) == "hold") {
      holding.open();
      release.wait();
    }
    if (task) script.complete(std::move(task));
    return script.echo();
  });
  auto old = std::make_unique<Generation>(host);
  PoolOptions options = named("w", 1);
  options.stop_grace = std::chrono::hours(1);
  add(*old->global(), options);
  std::string error;
  ASSERT_TRUE(old->start(error));
  std::shared_ptr<Pool> pool;
  ASSERT_EQ(old->global()->find("w", pool), Scope::Lookup::Found);
  const Pool::Sent held = test::send(*pool, "hold");
  holding.wait();

  Generation next(host);
  add(*next.global(), options);
  ASSERT_TRUE(next.start(error));
  std::thread closer([&] { EXPECT_EQ(old->close(), 0u); });
  test::eventually([&] { return pool->draining(); });
  ASSERT_EQ(next.global()->find("w", pool), Scope::Lookup::Found);
  EXPECT_EQ(test::end_of(*test::send(*pool, "quick").task), Task::ReadResult::Completed);
  release.open();
  closer.join();
  EXPECT_EQ(test::end_of(*held.task), Task::ReadResult::Completed);
}

}  // namespace
}  // namespace igor
