#include "module/scope.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>
#include <vector>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

using Lookup = Scope::Lookup;
using testing::HasSubstr;

class ScopeTest : public testing::Test {
 protected:
  static PoolOptions named(std::string name, uint32_t max_threads = 0) {
    PoolOptions options = test::options_of(0);
    options.name = std::move(name);
    options.max_threads = max_threads;
    return options;
  }
  void add(Scope& scope, PoolOptions options) {
    std::string error;
    ASSERT_TRUE(scope.add(std::move(options), error)) << error;
  }
  Lookup find(const std::shared_ptr<Scope>& scope, std::string_view name) { return scope->find(name, found); }

  test::FakeHost host;
  std::shared_ptr<Scope> global = std::make_shared<Scope>("global", nullptr, host);
  std::shared_ptr<Scope> server = std::make_shared<Scope>("server", global, host);
  std::shared_ptr<Pool> found;
};

TEST_F(ScopeTest, NamesAreFoundHereFirstThenInTheFallback) {
  add(*global, named("both"));
  add(*global, named("global only"));
  add(*server, named("both"));
  ASSERT_EQ(find(server, "both"), Lookup::Found);
  const auto own = found;
  ASSERT_EQ(find(global, "both"), Lookup::Found);
  EXPECT_NE(own, found);
  EXPECT_EQ(find(server, "global only"), Lookup::Found);
  EXPECT_EQ(server->pools().size(), 1u);
}

TEST_F(ScopeTest, APoolKnowsWhereItsScriptsResolveNames) {
  add(*server, named("w"));
  ASSERT_EQ(find(server, "w"), Lookup::Found);
  EXPECT_EQ(found->home(), server);
  add(*server, named(""));
  ASSERT_EQ(find(server, "any"), Lookup::Found);
  EXPECT_EQ(found->home(), server);
}

TEST_F(ScopeTest, UnknownNamesAndScopesWithoutWorkersAreToldApart) {
  EXPECT_EQ(find(server, "w"), Lookup::NoWorkers);
  add(*global, named("other"));
  EXPECT_EQ(find(server, "w"), Lookup::NoSuchWorker);
  EXPECT_EQ(find(global, ""), Lookup::NoSuchWorker);
  EXPECT_FALSE(found);
}

TEST_F(ScopeTest, TwoOfOneNameAreRefused) {
  add(*server, named("w"));
  std::string error;
  EXPECT_FALSE(server->add(named("w"), error));
  EXPECT_THAT(error, HasSubstr("two background workers named \"w\""));
  add(*global, named("w"));  // another scope: fine
  add(*server, named(""));
  EXPECT_FALSE(server->add(named(""), error));
  EXPECT_THAT(error, HasSubstr("without a name"));
}

TEST_F(ScopeTest, ACatchAllMakesAPoolForEachNameUpToItsBound) {
  add(*server, named("", 3));
  std::set<std::shared_ptr<Pool>> made;
  for (const char* name : {"a", "b", "c", "a", "b"}) {
    ASSERT_EQ(find(server, name), Lookup::Found);
    EXPECT_EQ(found->options().name, name);
    EXPECT_EQ(found->options().max_threads, 1u);
    made.insert(found);
  }
  EXPECT_EQ(made.size(), 3u);
  EXPECT_EQ(find(server, "d"), Lookup::CatchAllFull);
  EXPECT_EQ(find(server, "a"), Lookup::Found);
  EXPECT_EQ(find(server, ""), Lookup::NoSuchWorker) << "no name, no worker";
}

TEST_F(ScopeTest, WithoutABoundACatchAllTakesSixteenNames) {
  add(*server, named(""));
  for (uint32_t i = 0; i < Scope::kCatchAllNames; ++i) EXPECT_EQ(find(server, std::to_string(i)), Lookup::Found);
  EXPECT_EQ(find(server, "one more"), Lookup::CatchAllFull);
}

TEST_F(ScopeTest, AListedNameInTheFallbackGoesBeforeTheOwnCatchAll) {
  add(*server, named(""));
  add(*global, named("w"));
  ASSERT_EQ(find(server, "w"), Lookup::Found);
  EXPECT_EQ(found->home(), global);
  ASSERT_EQ(find(server, "x"), Lookup::Found);
  EXPECT_EQ(found->home(), server);
}

TEST_F(ScopeTest, WhatTheFallbacksCatchAllHasMadeForOthersIsNoListedName) {
  const auto other = std::make_shared<Scope>("other", global, host);
  add(*global, named(""));
  add(*server, named(""));
  ASSERT_EQ(find(other, "w"), Lookup::Found);
  EXPECT_EQ(found->home(), global);
  ASSERT_EQ(find(server, "w"), Lookup::Found);
  EXPECT_EQ(found->home(), server) << "whoever asks first makes no difference";
  ASSERT_EQ(find(other, "w"), Lookup::Found);
  EXPECT_EQ(found->home(), global);
}

TEST_F(ScopeTest, TheFallbacksCatchAllComesLast) {
  add(*global, named(""));
  ASSERT_EQ(find(server, "w"), Lookup::Found);
  EXPECT_EQ(found->home(), global);
  EXPECT_EQ(find(global, "w"), Lookup::Found);
  EXPECT_TRUE(server->pools().empty());
}

TEST_F(ScopeTest, ManyThreadsThatAskForOneNewNameGetOnePool) {
  add(*server, named("", 1));
  for (int round = 0; round < 50; ++round) {
    const auto fresh = std::make_shared<Scope>("fresh", nullptr, host);
    add(*fresh, named("", 1));
    std::vector<std::shared_ptr<Pool>> pools(4);
    std::vector<std::thread> threads;
    for (auto& pool : pools) {
      threads.emplace_back([&fresh, &pool] { EXPECT_EQ(fresh->find("w", pool), Lookup::Found); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& pool : pools) EXPECT_EQ(pool, pools[0]);
  }
}

TEST_F(ScopeTest, AClosedScopeMakesNoPoolsButStillKnowsItsOwn) {
  add(*server, named("w"));
  add(*server, named(""));
  server->close();
  EXPECT_EQ(find(server, "w"), Lookup::Found);
  EXPECT_EQ(find(server, "new"), Lookup::Closed);
  std::string error;
  EXPECT_FALSE(server->add(named("late"), error));
  EXPECT_THAT(error, HasSubstr("closed"));
}

}  // namespace
}  // namespace igor
