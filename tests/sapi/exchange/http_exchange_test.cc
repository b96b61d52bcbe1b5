// The exchange between callers and PHP threads, and the queue in front of it, with scripts written in C++: so it
// runs under ThreadSanitizer, which cannot see into a libphp that was not built for it.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sapi/http_pool.h"
#include "sapi/http_script.h"
#include "sapi/php_thread.h"

namespace igor::sapi {

// The engine's part, without the engine.
PhpThread::PhpThread(Kind kind_, std::string label) : kind(kind_), thread_label(std::move(label)) {}
PhpThread::~PhpThread() = default;
void PhpThread::request_interrupt() noexcept {
  interrupt.raise();
}

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
    request.finish();
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

constexpr size_t kBody = 300000;

struct Caller {
  HttpPool& pool;
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
    if (!pool.submit(*request)) return;

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
    if (client.joinable()) client.join();
  }
};

void run_callers(uint32_t max_wait_ms, bool stop_in_between) {
  HttpPool pool;
  std::string error;
  HttpPool::Options options;
  options.threads = 3;
  options.max_wait_ms = max_wait_ms;
  ASSERT_TRUE(pool.start(options, error)) << error;
  std::vector<Caller> callers;
  for (unsigned seed = 0; seed < 6; ++seed) callers.push_back({pool, std::mt19937(seed)});
  std::vector<std::thread> threads;
  for (Caller& caller : callers) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) caller.one();
    });
  }
  if (stop_in_between) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_TRUE(pool.stop(std::chrono::milliseconds(1000)));
  }
  for (auto& thread : threads) thread.join();
  int done = 0, refused = 0;
  for (const Caller& caller : callers) {
    done += caller.done;
    refused += caller.refused;
  }
  EXPECT_GT(done, 0);
  if (max_wait_ms == 0 && !stop_in_between) {
    EXPECT_EQ(refused, 0);
  }
  EXPECT_EQ(pool.load().queued, 0u);
  if (!stop_in_between) {
    EXPECT_TRUE(pool.stop(std::chrono::milliseconds(1000)));
  }
}

TEST(HttpExchange, EveryConductOfBothSides) {
  run_callers(0, false);
}
TEST(HttpExchange, WithAWaitThatEnds) {
  run_callers(1, false);
}
TEST(HttpExchange, StoppedInTheMiddle) {
  run_callers(0, true);
}

}  // namespace
}  // namespace igor::sapi
