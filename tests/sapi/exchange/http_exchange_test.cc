// The exchange between callers and the threads that run their requests, with scripts written in C++: so it
// runs under ThreadSanitizer, which cannot see into a libphp that was not built for it.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sapi/attention.h"
#include "sapi/http_request.h"
#include "sapi/http_runner.h"
#include "sapi/http_script.h"
#include "sapi/php_thread.h"

namespace igor::sapi {

// The engine's part, without the engine.
namespace {
std::atomic<uint32_t> attached_threads{0};
}
PhpThread::PhpThread(Kind kind_, std::string label) : kind(kind_), thread_label(std::move(label)) {
  ++attached_threads;
}
PhpThread::~PhpThread() {
  if (!forgotten_) --attached_threads;
}
uint32_t PhpThread::attached() noexcept {
  return attached_threads;
}
void PhpThread::request_interrupt() noexcept {
  interrupt.raise();
}
void PhpThread::forget() noexcept {
  forgotten_ = true;
  --attached_threads;
}
void PhpThread::recycle() {}

// The method says what the script does.
void run_http_script(PhpThread&, HttpRequest& request) {
  const std::string_view method = request.method();
  const std::string block(20000, 'x');
  if (method == "reads") {
    std::string piece(16384, '\0');
    size_t all = 0, got;
    do {
      got = request.read(piece.data(), piece.size());
      all += got;
      if (all % 3 == 0) request.flush();
    } while (got == piece.size());
    request.begin_headers(200);
    request.add_header("Read", std::to_string(all));
  } else if (method == "writes") {
    request.begin_headers(200);
    for (int i = 0; i < 100 && request.write(block.data(), block.size()); ++i) {
      if (i % 10 == 0 && !request.flush()) break;
    }
  } else if (method == "early") {
    request.begin_headers(103);
    request.send_informational();
    request.begin_headers(200);
    request.write("x", 1);
    request.finish_early();
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(request.write(block.data(), block.size()));
    EXPECT_TRUE(request.flush());
  } else {
    request.begin_headers(200);
    request.write("hello", 5);
  }
  request.input_cut();
  request.finish();
}

namespace {

template <typename Condition>
void test_eventually(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

constexpr size_t kBody = 300000;

struct Caller {
  HttpRunner& runner;
  std::mt19937 random;
  int done = 0;
  int refused = 0;

  void one() {
    constexpr const char* kScripts[] = {"reads", "writes", "early", "says"};
    enum { Patient, Aborts, BadInput, GivesUp, Kinds = 10 };
    HttpRequestOptions options;
    options.script_filename = "/script";
    options.method = kScripts[random() % 4];
    options.content_length = options.method == "reads" ? kBody : 0;
    const Ref<HttpRequest> request = Ref<HttpRequest>::adopt(new HttpRequest(options, nullptr));
    std::thread runs([&, request] { runner.run(*request); });

    const auto conduct = random() % Kinds;
    std::thread client;
    if (conduct == Aborts) client = std::thread([request] { request->abort(); });
    const std::string input(50000, 'i');
    size_t sent = 0, body = 0;
    int events = 0, informational = 0, headers = 0;
    std::string_view piece;
    InputKind kind = InputKind::None;
    HttpEvent event;
    while (request->next(kind, piece, event)) {
      kind = InputKind::None;
      piece = {};
      body += event.body.size();
      informational += event.informational;
      headers += event.has_headers;
      if (event.kind == HttpEvent::Kind::Finished) {
        ++(event.refused ? refused : done);
        if (!event.refused) {
          EXPECT_EQ(headers, 1);
        }
        if (!event.refused && conduct != Aborts && conduct != BadInput) {
          EXPECT_EQ(body, options.method == "writes"  ? 2000000u
                          : options.method == "early" ? 1u
                          : options.method == "says"  ? 5u
                                                      : 0u);
          EXPECT_EQ(informational, options.method == "early" ? 1 : 0);
          EXPECT_EQ(sent, options.method == "reads" ? kBody : 0);
        }
        break;
      }
      if (event.kind == HttpEvent::Kind::Input) {
        kind = conduct == BadInput ? InputKind::Error : InputKind::Data;
        piece = std::string_view(input).substr(0, std::min(input.size(), kBody - sent));
        sent += piece.size();
      }
      if (conduct == GivesUp && ++events == 2) break;
    }
    request->give_up();
    runs.join();
    if (client.joinable()) client.join();
  }
};

HttpRunner& the_runner() {
  static auto* const runner = new HttpRunner;  // as the engine's: threads that have called in look for it when they end
  return *runner;
}

void run_callers(bool stop_in_between) {
  HttpRunner& runner = the_runner();
  runner.open(7);
  const uint64_t before = runner.load().requests;  // of other tests
  std::vector<Caller> callers;
  for (unsigned seed = 0; seed < 6; ++seed) callers.push_back({runner, std::mt19937(seed)});
  std::vector<std::thread> threads;
  for (Caller& caller : callers) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) caller.one();
    });
  }
  if (stop_in_between) {
    test_eventually([&] { return runner.load().requests > before + 100; });
    EXPECT_TRUE(runner.stop(std::chrono::milliseconds(1000)));
    runner.forget_threads();
  }
  for (auto& thread : threads) thread.join();
  int done = 0, refused = 0;
  for (const Caller& caller : callers) {
    done += caller.done;
    refused += caller.refused;
  }
  EXPECT_GT(done, 0);
  EXPECT_EQ(refused > 0, stop_in_between);
  EXPECT_EQ(runner.load().busy, 0u);
  EXPECT_TRUE(runner.stop(std::chrono::milliseconds(1000)));
}

TEST(HttpExchange, EveryConductOfBothSides) {
  run_callers(false);
}
TEST(HttpExchange, StoppedInTheMiddle) {
  run_callers(true);
}

// The engine asks it when it stops, while threads that have served end as they like: none of them is a script that
// goes on.
TEST(HttpExchange, ThreadsThatEndAreNeverTakenForScriptsThatGoOn) {
  HttpRunner& runner = the_runner();
  constexpr int kThreads = 8;
  for (int round = 0; round < 200; ++round) {
    runner.open(0);
    std::atomic<int> served{0}, ended{0};
    std::atomic<bool> may_end{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        struct Ends {  // after what the runner keeps for the thread is gone: made before it, destroyed after it
          std::atomic<int>* count = nullptr;
          ~Ends() { ++*count; }
        };
        thread_local Ends ends;
        ends.count = &ended;
        HttpRequestOptions options;
        options.script_filename = "/script";
        options.method = "says";
        const Ref<HttpRequest> request = Ref<HttpRequest>::adopt(new HttpRequest(options, nullptr));
        EXPECT_TRUE(runner.run(*request));
        ++served;
        test_eventually([&] { return may_end.load(); });
      });
    }
    test_eventually([&] { return served == kThreads; });
    EXPECT_TRUE(runner.stop(std::chrono::milliseconds(1000)));
    may_end = true;
    bool only_resting = true;
    while (ended < kThreads) only_resting = runner.only_resting() && only_resting;
    EXPECT_TRUE(only_resting);
    for (auto& thread : threads) thread.join();
    runner.forget_threads();
  }
}

// As a host does: takes first, and waits for the descriptor when there is nothing.
void await_attention(uint64_t& token) {
  AttentionQueue& queue = AttentionQueue::global();
  while (queue.take(&token, 1) == 0) {
    pollfd ready{queue.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, -1), 1);
    uint64_t signals;
    ASSERT_EQ(read(queue.fd(), &signals, sizeof signals), ssize_t{sizeof signals});
  }
}

// What a request asks for while it runs comes to the one who waits for tokens; what asks for nothing is told by
// run() alone.
TEST(HttpExchange, ARequestCallsForItsCallerOnceAndOnlyWhenItMust) {
  HttpRunner& runner = the_runner();
  runner.open(0);
  uint64_t token = 0;
  for (const char* script : {"says", "writes", "reads", "early"}) {
    HttpRequestOptions options;
    options.script_filename = "/script";
    options.method = script;
    options.content_length = options.method == "reads" ? kBody : 0;
    options.attended = false;
    options.token = 7;
    const Ref<HttpRequest> request = Ref<HttpRequest>::adopt(new HttpRequest(options, nullptr));
    std::thread runs([&] { runner.run(*request); });
    HttpEvent event;
    if (options.method == "says") {
      runs.join();
      EXPECT_FALSE(request->attended());
      ASSERT_TRUE(request->next(InputKind::None, {}, event));
      EXPECT_EQ(event.kind, HttpEvent::Kind::Finished);
      EXPECT_EQ(event.body, "hello");
      continue;
    }
    ASSERT_NO_FATAL_FAILURE(await_attention(token)) << script;
    EXPECT_EQ(token, 7u);
    const std::string input(kBody, 'i');
    InputKind kind = InputKind::None;
    while (request->next(kind, kind == InputKind::None ? std::string_view() : input, event)) {
      if (event.kind == HttpEvent::Kind::Finished) break;
      kind = event.kind == HttpEvent::Kind::Input ? InputKind::End : InputKind::None;
    }
    runs.join();
    EXPECT_TRUE(request->attended());
    EXPECT_EQ(AttentionQueue::global().take(&token, 1), 0u) << "once";
  }
  EXPECT_TRUE(runner.stop(std::chrono::milliseconds(1000)));
}

TEST(HttpExchange, ABodyThatTheCallerHasReadIsNotAskedFor) {
  HttpRunner& runner = the_runner();
  runner.open(0);
  const std::string body(kBody, 'i');
  HttpRequestOptions options;
  options.script_filename = "/script";
  options.method = "reads";
  options.content_length = -1;
  options.body = body;
  options.body_whole = true;
  options.attended = false;
  const Ref<HttpRequest> request = Ref<HttpRequest>::adopt(new HttpRequest(options, nullptr));
  runner.run(*request);
  HttpEvent event;
  // The script flushes when it likes, and so may have called; the body it had anyway.
  ASSERT_TRUE(request->next(InputKind::None, {}, event));
  EXPECT_EQ(event.kind, HttpEvent::Kind::Finished);
  EXPECT_NE(event.headers.find(std::to_string(kBody)), std::string_view::npos);
  uint64_t token;
  while (AttentionQueue::global().take(&token, 1) == 1) continue;
  EXPECT_TRUE(runner.stop(std::chrono::milliseconds(1000)));
}

}  // namespace
}  // namespace igor::sapi
