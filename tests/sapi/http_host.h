// Plays the web server for tests: starts the engine through the C ABI, gives it requests as the Caddy plugin
// does, and keeps every log record.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caddy-plugin/bridge/igor.h"
#include "module/packed_pairs.h"

namespace igor::testing {

using Pairs = std::vector<std::pair<std::string, std::string>>;

inline igor_str str(std::string_view text) {
  return {text.data(), text.size()};
}
inline std::string_view view(igor_str text) {
  return {text.data, text.len};
}

inline std::string pack(const Pairs& pairs) {
  std::string out;
  for (const auto& [key, value] : pairs) append_packed_pair(out, key, value);
  return out;
}

inline Pairs unpack(igor_str packed) {
  Pairs pairs;
  PackedPairs list(view(packed));
  for (std::string_view key, value; list.next(key, value);) pairs.emplace_back(key, value);
  return pairs;
}

struct LogLine {
  int level;
  std::string logger;
  std::string message;
  std::map<std::string, std::string> fields;
};

struct Response {
  igor_status started = IGOR_OK;
  int status = 0;
  Pairs headers;
  std::string body;
  bool refused = false;
  bool alone = false;  // nobody was needed before the script's end
  int events = 0;      // including the finishing one
  int flushes = 0;
  std::vector<std::pair<int, Pairs>> informational;

  std::vector<std::string> all(const std::string& name) const {
    std::vector<std::string> values;
    for (const auto& [key, value] : headers) {
      if (strcasecmp(key.c_str(), name.c_str()) == 0) values.push_back(value);
    }
    return values;
  }
  std::string header(const std::string& name) const {
    const auto values = all(name);
    return values.empty() ? "" : values[0];
  }
};

struct Request {
  Request() = default;
  explicit Request(std::string path) : script(std::move(path)) {}

  std::string script;
  igor_handle worker = 0;  // the pool of HTTP workers that answers
  std::string method = "GET";
  std::string uri = "/test.php?a=1&b=two";
  std::string query = "a=1&b=two";
  std::string content_type;
  std::string cookie;
  std::string authorization;
  std::string body;
  bool chunked = false;  // the length is not announced
  Pairs server_vars = {{"REQUEST_METHOD", "GET"}, {"SCRIPT_NAME", "/test.php"}, {"HTTP_HOST", "example.test"}};
  Pairs env;
  Pairs headers;
  size_t piece = 64 << 10;  // of the body, at most
  // Called with each event, before it is dealt with; true: go on.
  std::function<bool(igor_handle, const igor_event&)> on_event;
  // Instead of the next piece of the body: the kind of input to give. -1: the piece.
  std::function<int(size_t sent)> on_input;
};

// The host's side of igor_request_run(): threads that call in, reused as a web server's are, and one that
// waits for requests that need their caller.
class Callers {
 public:
  // One request on its way through.
  struct Visit {
    std::mutex mutex;
    std::condition_variable changed;
    bool wanted = false;  // it asked for its caller
    bool over = false;    // its script has ended
    igor_status status = IGOR_OK;
    igor_event event{};  // of a request that never asked
  };

  void open() {
    attention_ = std::thread([this] {
      pollfd ready{};
      ready.events = POLLIN;
      if (igor_attention_fd(&ready.fd) != IGOR_OK) std::abort();
      uint64_t token;
      for (size_t count; igor_attention_take(&token, 1, &count) == IGOR_OK;) {
        if (count == 0) {
          uint64_t signals;
          while (read(ready.fd, &signals, sizeof signals) < 0) poll(&ready, 1, -1);
          continue;
        }
        std::lock_guard lock(mutex_);
        if (const auto found = visits_.find(token); found != visits_.end()) {
          const auto visit = found->second;
          std::lock_guard visit_lock(visit->mutex);
          visit->wanted = true;
          visit->changed.notify_all();
        }
      }
    });
  }

  // After the engine has stopped, or has given up on a script.
  void close() {
    igor_attention_close();
    if (attention_.joinable()) attention_.join();
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    ending_ = false;
  }

  uint64_t expect(const std::shared_ptr<Visit>& visit) {
    std::lock_guard lock(mutex_);
    visits_[++last_token_] = visit;
    return last_token_;
  }

  void run(igor_handle handle, uint64_t token) {
    std::lock_guard lock(mutex_);
    jobs_.emplace_back(handle, token);
    if (jobs_.size() > idle_) threads_.emplace_back([this] { work(); });
    changed_.notify_all();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      changed_.wait(lock, [&] { return !jobs_.empty() || ending_; });
      --idle_;
      if (jobs_.empty()) return;
      const auto [handle, token] = jobs_.front();
      jobs_.pop_front();
      const auto visit = visits_.at(token);
      lock.unlock();
      igor_event event{};
      event.size = sizeof event;
      const igor_status status = igor_request_run(handle, &event);
      {
        std::lock_guard visit_lock(visit->mutex);
        visit->status = status;
        visit->event = event;
        visit->over = true;
        visit->changed.notify_all();
      }
      lock.lock();
      visits_.erase(token);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, std::shared_ptr<Visit>> visits_;
  std::deque<std::pair<igor_handle, uint64_t>> jobs_;
  std::vector<std::thread> threads_;
  std::thread attention_;
  uint64_t last_token_ = 0;
  size_t idle_ = 0;
  bool ending_ = false;
};

class HttpHost : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/igor-test-XXXXXX";
    directory_ = mkdtemp(pattern);
    if (!start_by_hand()) {
      ASSERT_EQ(start(), IGOR_OK) << error_;
    }
  }

  void TearDown() override {
    EXPECT_EQ(igor_engine_stop(2000), IGOR_OK);
    callers().close();
    igor_log_close();
    if (log_reader_.joinable()) log_reader_.join();
    std::filesystem::remove_all(directory_);
  }

  // Tests that need other options answer true and call start() themselves.
  virtual bool start_by_hand() { return false; }

  static Callers& callers() {
    static auto* const callers = new Callers;
    return *callers;
  }

  igor_status start(const std::string& more_ini = "", uint32_t max_requests = 0, uint32_t max_wait_ms = 0,
                    uint32_t spare_threads = 0, uint32_t max_idle_ms = 0) {
    const std::string ini =
        "opcache.enable=1\nopcache.validate_timestamps=1\nopcache.revalidate_freq=0\n"
        "opcache.file_update_protection=0\ndisplay_errors=0\n" +
        more_ini;
    igor_engine_options options{};
    options.size = sizeof options;
    options.ini = str(ini);
    options.max_requests = max_requests;
    options.max_wait_ms = max_wait_ms;
    options.spare_threads = spare_threads;
    options.max_idle_ms = max_idle_ms;
    char text[1024] = "";
    const igor_status status = igor_engine_start(&options, text, sizeof text);
    error_ = text;
    if (status == IGOR_OK && !serving_) callers().open();
    serving_ = serving_ || status == IGOR_OK;
    // Not before: until then the queue may still be closed by an earlier test.
    if (status == IGOR_OK && !log_reader_.joinable()) log_reader_ = std::thread([this] { read_log(); });
    return status;
  }

  static bool memory_limit_works() {
    const char* setting = std::getenv("USE_ZEND_ALLOC");
    return !setting || std::string(setting) != "0";
  }

  // Writes a script; its path.
  std::string script(const std::string& code, const std::string& name = "") {
    const std::string path = directory_ + "/" + (name.empty() ? "script" + std::to_string(scripts_++) + ".php" : name);
    std::ofstream(path, std::ios::binary) << code;
    return path;
  }

  // Starts a request whose caller is there from the beginning.
  static igor_status begin(const Request& request, igor_handle& handle) {
    const auto visit = std::make_shared<Callers::Visit>();
    const uint64_t token = callers().expect(visit);
    const igor_status status = make(request, token, true, handle);
    if (status == IGOR_OK) callers().run(handle, token);
    return status;
  }

  static igor_status make(const Request& request, uint64_t token, bool attended, igor_handle& handle) {
    igor_request_options options{};
    options.size = sizeof options;
    options.worker = request.worker;
    options.script_filename = str(request.script);
    options.method = str(request.method);
    options.request_uri = str(request.uri);
    options.query = str(request.query);
    options.content_type = str(request.content_type);
    options.cookie = str(request.cookie);
    options.authorization = str(request.authorization);
    options.content_length = request.chunked ? -1 : static_cast<int64_t>(request.body.size());
    const std::string vars = pack(request.server_vars), env = pack(request.env), headers = pack(request.headers);
    options.server_vars = str(vars);
    options.env = str(env);
    options.request_headers = str(headers);
    options.attended = attended;
    options.token = token;
    return igor_request_start(&options, &handle);
  }

  static Response run(const Request& request) {
    Response response;
    igor_handle handle = 0;
    const auto visit = std::make_shared<Callers::Visit>();
    const uint64_t token = callers().expect(visit);
    response.started = make(request, token, false, handle);
    if (response.started != IGOR_OK) return response;
    if (request.worker != 0) {
      // An HTTP worker takes its requests itself, and calls when it has answered. A host may come before, as it must at
      // the end of its patience; so some of these requests are attended before they are done, and most are not.
      std::unique_lock lock(visit->mutex);
      visit->changed.wait_for(lock, std::chrono::milliseconds(20), [&] { return visit->wanted; });
    } else {
      callers().run(handle, token);
      std::unique_lock lock(visit->mutex);
      visit->changed.wait(lock, [&] { return visit->wanted || visit->over; });
      response.alone = !visit->wanted && visit->event.kind == IGOR_EVENT_FINISHED;
    }
    int kind = IGOR_INPUT_NONE;
    igor_str input{};
    size_t sent = 0;
    for (;;) {
      igor_event event{};
      event.size = sizeof event;
      if (response.alone) event = visit->event;
      const igor_status status = response.alone ? IGOR_OK : igor_request_next(handle, kind, input, &event);
      if (status != IGOR_OK) {
        ADD_FAILURE() << "igor_request_next: " << status;
        break;
      }
      ++response.events;
      if (event.flags & IGOR_EVENT_FLUSH) ++response.flushes;
      if (event.flags & IGOR_EVENT_INFORMATIONAL) {
        response.informational.emplace_back(event.status, unpack(event.headers));
      }
      if (event.flags & IGOR_EVENT_HAS_HEADERS) {
        EXPECT_EQ(response.status, 0) << "headers twice";
        response.status = static_cast<int>(event.status);
        response.headers = unpack(event.headers);
      }
      response.body.append(view(event.body));
      response.refused = event.flags & IGOR_EVENT_REFUSED;
      kind = IGOR_INPUT_NONE;
      input = {};
      if (request.on_event && !request.on_event(handle, event)) break;
      if (event.kind == IGOR_EVENT_FINISHED) {
        EXPECT_EQ(igor_request_next(handle, IGOR_INPUT_NONE, {}, &event), IGOR_STATE);
        break;
      }
      if (event.kind == IGOR_EVENT_INPUT) {
        EXPECT_GT(event.input_wanted, 0u);
        const size_t size =
            std::min({request.piece, request.body.size() - sent, static_cast<size_t>(event.input_wanted)});
        const int wish = request.on_input ? request.on_input(sent) : -1;
        input = str(std::string_view(request.body).substr(sent, size));
        sent += size;
        kind = wish >= 0 ? wish : sent == request.body.size() ? IGOR_INPUT_END : IGOR_INPUT_DATA;
      }
    }
    EXPECT_EQ(igor_request_release(handle), IGOR_OK);
    EXPECT_EQ(igor_request_release(handle), IGOR_GONE);
    return response;
  }

  Response get(const std::string& code) { return run(Request(script(code))); }

  // Waits until a record fits, and returns it.
  LogLine logged(const std::function<bool(const LogLine&)>& fits) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    do {
      {
        std::lock_guard lock(log_mutex_);
        for (const LogLine& line : log_) {
          if (fits(line)) return line;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    } while (std::chrono::steady_clock::now() < until);
    std::string all;
    std::lock_guard lock(log_mutex_);
    for (const LogLine& line : log_) all += "\n  " + line.logger + ": " + line.message;
    ADD_FAILURE() << "no such log record; there are:" << all;
    return {};
  }
  LogLine logged(const std::string& part) {
    return logged([&](const LogLine& line) { return line.message.find(part) != std::string::npos; });
  }
  size_t log_size() {
    std::lock_guard lock(log_mutex_);
    return log_.size();
  }

  // Polls a file that a script writes: what happens after a response is over has no event.
  std::string content(const std::string& path) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (std::chrono::steady_clock::now() < until) {
      std::ifstream file(path, std::ios::binary);
      std::string text((std::istreambuf_iterator<char>(file)), {});
      if (!text.empty()) return text;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return "";
  }

  std::string directory_;
  std::string error_;

 private:
  void read_log() {
    for (;;) {
      igor_log_record record{};
      record.size = sizeof record;
      const igor_status status = igor_log_next(1000, &record);
      if (status == IGOR_GONE) return;
      if (status != IGOR_OK) continue;
      LogLine line{record.level, std::string(view(record.logger)), std::string(view(record.message)), {}};
      for (auto& [key, value] : unpack(record.fields)) line.fields[key] = value;
      std::lock_guard lock(log_mutex_);
      log_.push_back(std::move(line));
    }
  }

  int scripts_ = 0;
  bool serving_ = false;
  std::thread log_reader_;
  std::mutex log_mutex_;
  std::vector<LogLine> log_;
};

}  // namespace igor::testing
