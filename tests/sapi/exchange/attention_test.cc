// How a request that nobody attends calls for its caller: each of them once, none in vain, and whoever waits for the
// descriptor hears of all.
#include "sapi/attention.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "sapi/http_request.h"

namespace igor::sapi {
namespace {

Ref<HttpRequest> make_request(uint64_t token, bool for_worker) {
  HttpRequestOptions options;
  options.script_filename = "/script";
  options.content_length = 0;
  options.attended = false;
  options.token = token;
  options.for_worker = for_worker;
  return Ref<HttpRequest>::adopt(new HttpRequest(options, nullptr));
}

// Whether the queue's descriptor is readable now; reads it if so.
bool signalled() {
  uint64_t signals;
  return read(AttentionQueue::global().fd(), &signals, sizeof signals) == ssize_t{sizeof signals};
}

// What there is now.
std::vector<uint64_t> take_all() {
  std::vector<uint64_t> tokens(100);
  tokens.resize(AttentionQueue::global().take(tokens.data(), tokens.size()));
  return tokens;
}

class Attention : public ::testing::Test {
 protected:
  void SetUp() override {
    take_all();
    signalled();
  }
};

TEST_F(Attention, AWorkersAnswerCallsForItsCallerWhenItIsComplete) {
  const auto request = make_request(5, true);
  request->begin_headers(200);
  EXPECT_TRUE(request->write("hello", 5));
  EXPECT_FALSE(request->attended());
  EXPECT_FALSE(signalled());
  request->finish();
  EXPECT_TRUE(signalled());
  EXPECT_EQ(take_all(), std::vector<uint64_t>{5});
  request->finish();
  EXPECT_EQ(take_all(), std::vector<uint64_t>{}) << "once";
  HttpEvent event;
  ASSERT_TRUE(request->next(InputKind::None, {}, event));
  EXPECT_EQ(event.kind, HttpEvent::Kind::Finished);
  EXPECT_EQ(event.body, "hello");
}

TEST_F(Attention, SoDoesEveryOtherEndOfOne) {
  uint64_t token = 10;
  for (void (*end)(HttpRequest&) :
       {+[](HttpRequest& request) { request.refuse(); }, +[](HttpRequest& request) { request.abandon(); },
        +[](HttpRequest& request) {
          request.flush();
          request.finish();
        },
        +[](HttpRequest& request) { request.finish_early(); }}) {
    const auto request = make_request(++token, true);
    end(*request);
    EXPECT_EQ(take_all(), std::vector<uint64_t>{token});
  }
}

TEST_F(Attention, NobodyIsCalledWhoIsThere) {
  const auto request = make_request(20, true);
  std::thread caller([&] {
    HttpEvent event;
    ASSERT_TRUE(request->next(InputKind::None, {}, event));
    EXPECT_EQ(event.kind, HttpEvent::Kind::Finished);
  });
  while (!request->attended()) std::this_thread::yield();
  request->finish();
  caller.join();
  EXPECT_EQ(take_all(), std::vector<uint64_t>{});
}

TEST_F(Attention, OneThatRunsOnItsCallersThreadCallsOnlyBefore) {
  const auto request = make_request(30, false);
  request->finish();
  EXPECT_EQ(take_all(), std::vector<uint64_t>{});
}

TEST_F(Attention, TheOldestComesFirst) {
  for (uint64_t token = 40; token < 45; ++token) make_request(token, true)->finish();
  uint64_t first[2];
  ASSERT_EQ(AttentionQueue::global().take(first, 2), 2u);
  make_request(45, true)->finish();
  EXPECT_EQ(first[0], 40u);
  EXPECT_EQ(first[1], 41u);
  EXPECT_EQ(take_all(), (std::vector<uint64_t>{42, 43, 44, 45}));
}

TEST_F(Attention, AClosedQueueIsReadable) {
  AttentionQueue& queue = AttentionQueue::global();
  queue.close();
  EXPECT_TRUE(queue.closed());
  EXPECT_TRUE(signalled());
  EXPECT_TRUE(queue.open());
  EXPECT_FALSE(queue.closed());
}

// The one who takes sleeps whenever there is nothing. If a signal were missed, he would sleep for ever.
TEST_F(Attention, ManyThreadsAndOneWhoTakes) {
  constexpr uint64_t kThreads = 4, kEach = 20'000;
  AttentionQueue& queue = AttentionQueue::global();
  std::vector<std::atomic<int>> seen(kThreads * kEach);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([t] {
      for (uint64_t i = 0; i < kEach; ++i) make_request(t * kEach + i, true)->finish();
    });
  }
  std::vector<uint64_t> youngest(kThreads, 0);
  for (uint64_t count = 0; count < kThreads * kEach;) {
    uint64_t tokens[8];
    const size_t taken = queue.take(tokens, std::size(tokens));
    for (size_t i = 0; i < taken; ++i) {
      ++seen[tokens[i]];
      uint64_t& last = youngest[tokens[i] / kEach];
      EXPECT_LE(last, tokens[i] % kEach) << "a thread's requests changed their order";
      last = tokens[i] % kEach;
    }
    count += taken;
    if (taken > 0) continue;
    pollfd ready{queue.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, -1), 1);
    EXPECT_TRUE(signalled());
  }
  for (auto& thread : threads) thread.join();
  for (const auto& times : seen) ASSERT_EQ(times, 1);
  EXPECT_EQ(take_all(), std::vector<uint64_t>{});
}

}  // namespace
}  // namespace igor::sapi
