// The C ABI on odd input: options of other sizes, strings with anything in them, numbers at their ends, handles that
// are stale or never were, calls in any order. PHP runs behind it. What must hold:
//   - no call crashes, and every one returns;
//   - a handle that was not given out, or was given back, is answered with IGOR_GONE;
//   - what is refused leaves no handle, and an error is a sentence that ends within its buffer.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "caddy-plugin/bridge/igor.h"
#include "module/packed_pairs.h"
#include "tests/fuzz/input.h"

namespace igor::fuzz {
namespace {

igor_str str(std::string_view text) {
  return {text.data(), text.size()};
}

// An error's buffer, of any size from none, with a guard behind it.
class ErrorText {
 public:
  explicit ErrorText(Input& input) : size_(input.one_in(4) ? input.below(40) : 256) { buffer_.fill('#'); }
  char* data() { return size_ == 0 ? nullptr : buffer_.data(); }
  size_t size() const { return size_; }
  void check(igor_status status) const {
    FUZZ_CHECK(status >= IGOR_OK && status <= IGOR_MISMATCH);
    FUZZ_CHECK(std::all_of(buffer_.begin() + static_cast<std::ptrdiff_t>(size_), buffer_.end(),
                           [](char c) { return c == '#'; }));
    if (buffer_[0] != '#') FUZZ_CHECK(std::memchr(buffer_.data(), '\0', size_) != nullptr);
  }

 private:
  size_t size_;
  std::array<char, 300> buffer_;
};

// Answers requests that need their caller, as the host does: with what their token tells.
class Attention {
 public:
  Attention() {
    std::thread([this] {
      pollfd ready{};
      ready.events = POLLIN;
      FUZZ_CHECK(igor_attention_fd(&ready.fd) == IGOR_OK);
      for (;;) {
        uint64_t token;
        size_t count = 0;
        if (igor_attention_take(&token, 1, &count) != IGOR_OK || count == 0) {
          uint64_t signals;
          while (read(ready.fd, &signals, sizeof signals) < 0) poll(&ready, 1, -1);
          continue;
        }
        std::unique_lock lock(mutex_);
        const auto found = handles_.find(token);
        if (found == handles_.end()) continue;  // its caller came by himself
        const igor_handle handle = found->second;
        lock.unlock();
        serve(handle, token);
        lock.lock();
        handles_.erase(token);
        changed_.notify_all();
      }
    }).detach();
  }
  void expect(uint64_t token, igor_handle handle) {
    std::lock_guard lock(mutex_);
    handles_[token] = handle;
  }
  void forget(uint64_t token) {
    std::lock_guard lock(mutex_);
    handles_.erase(token);
  }
  // For one that asked for its caller.
  void await(uint64_t token) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return handles_.count(token) == 0; });
  }

  // The whole conversation; `token` decides what the body is.
  static void serve(igor_handle handle, uint64_t token) {
    igor_event event{};
    event.size = sizeof event;
    int kind = IGOR_INPUT_NONE;
    std::string piece;
    for (int turn = 0; igor_request_next(handle, kind, str(piece), &event) == IGOR_OK; ++turn) {
      FUZZ_CHECK(PackedPairs::well_formed({event.headers.data, event.headers.len}));
      if (event.kind == IGOR_EVENT_FINISHED) return;
      kind = IGOR_INPUT_NONE;
      if (event.kind == IGOR_EVENT_INPUT) {
        FUZZ_CHECK(event.input_wanted > 0);
        piece.assign(std::min<uint64_t>(event.input_wanted, token % 100), 'x');
        kind = turn < 3 && !piece.empty() ? IGOR_INPUT_DATA : token % 2 != 0 ? IGOR_INPUT_END : IGOR_INPUT_ERROR;
      }
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, igor_handle> handles_;
};

const std::string kScripts = IGOR_FUZZ_SCRIPTS "/";

class Play {
 public:
  Play(const uint8_t* data, size_t size, Attention& attention) : input_(data, size), attention_(attention) {}

  void run() {
    while (!input_.empty()) step();
    for (const igor_handle request : std::set(requests_)) release(request);
    for (const igor_handle generation : std::set(generations_)) close(generation);
    igor_log_record record{};
    record.size = sizeof record;
    while (igor_log_next(0, &record) == IGOR_OK) {
    }
  }

 private:
  enum Kind { kGeneration, kScope, kPool, kRequest, kKinds };
  // One that was given out, perhaps given back since, perhaps of another kind; or one that never was.
  igor_handle handle(Kind kind) {
    if (input_.one_in(8)) kind = static_cast<Kind>(input_.below(kKinds));
    const std::vector<igor_handle>& known = given_[kind];
    if (known.empty() || input_.one_in(10)) return input_.one_in(2) ? input_.number(8) : input_.below(4);
    const uint64_t handle = known[known.size() - 1 - input_.byte() % std::min<size_t>(known.size(), 4)];
    return input_.one_in(16) ? handle ^ uint64_t { 1 } << input_.below(64) : handle;
  }
  void given(Kind kind, igor_handle handle) {
    FUZZ_CHECK(handle != 0);
    given_[kind].push_back(handle);
  }
  // Of a struct: mostly its own.
  uint32_t size_of(size_t own) {
    return input_.one_in(6) ? static_cast<uint32_t>(input_.one_in(2) ? input_.number(4) : input_.below(256))
                            : static_cast<uint32_t>(own);
  }
  uint32_t edge() {
    static constexpr uint32_t kEdges[] = {0, 0, 1, 2, 16, 4096, 4097, 65536, 65537, INT32_MAX, UINT32_MAX};
    return kEdges[input_.below(std::size(kEdges))];
  }
  std::string_view text() { return input_.text(input_.below(40)); }
  // A string argument: also none at all that says that it has a length.
  igor_str string() {
    if (input_.one_in(20)) return {nullptr, input_.below(9)};
    return str(text());
  }
  igor_str pairs() {
    if (input_.one_in(8)) return string();
    std::string packed;
    for (uint32_t i = input_.below(5); i > 0; --i) {
      static constexpr std::string_view kNames[] = {"HTTP_HOST", "", "A=B", "argv", "PHP_SELF", "X[y]", "GLOBALS"};
      append_packed_pair(packed, input_.one_in(3) ? text() : kNames[input_.below(7)], text());
    }
    strings_.push_back(std::make_unique<std::string>(std::move(packed)));
    return str(*strings_.back());
  }
  igor_str file(const char* usual) {
    if (input_.one_in(6)) return string();
    strings_.push_back(std::make_unique<std::string>(kScripts + usual));
    return str(*strings_.back());
  }

  void step() {
    switch (input_.below(14)) {
      case 0: {
        ErrorText error(input_);
        igor_handle made = 77;
        const igor_status status =
            igor_generation_open(handle(kGeneration), input_.one_in(20) ? nullptr : &made, error.data(), error.size());
        error.check(status);
        FUZZ_CHECK(status == IGOR_OK || made == 0 || made == 77);
        if (status == IGOR_OK) {
          given(kGeneration, made);
          generations_.insert(made);
        }
        return;
      }
      case 1: {
        ErrorText error(input_);
        igor_handle made = 77;
        const igor_handle generation = handle(kGeneration);
        const igor_status status = igor_scope_open(generation, string(), input_.one_in(3),
                                                   input_.one_in(20) ? nullptr : &made, error.data(), error.size());
        error.check(status);
        FUZZ_CHECK((status == IGOR_GONE) == (generations_.count(generation) == 0) || status == IGOR_INVALID);
        if (status == IGOR_OK) given(kScope, made);
        return;
      }
      case 2:
      case 3:
        return add_pool();
      case 4: {
        ErrorText error(input_);
        error.check(igor_generation_start(handle(kGeneration), error.data(), error.size()));
        return;
      }
      case 5: {
        const igor_handle generation = handle(kGeneration);
        if (generations_.count(generation) != 0) close(generation);
        return;
      }
      case 6: {
        ErrorText error(input_);
        const int action = input_.one_in(4) ? static_cast<int>(input_.number(4)) : static_cast<int>(input_.below(6));
        error.check(igor_pool_control(handle(kPool), action, error.data(), error.size()));
        return;
      }
      case 7: {
        ErrorText error(input_);
        error.check(igor_worker_restart(handle(kPool), edge(), error.data(), error.size()));
        igor_task_cancel(handle(kGeneration), input_.below(3));
        return;
      }
      case 8: {
        char* json = nullptr;
        size_t size = 77;
        if (igor_report(handle(kGeneration), input_.one_in(20) ? nullptr : &json, &size) == IGOR_OK) {
          FUZZ_CHECK(json != nullptr && std::strlen(json) == size && json[0] == '{' && json[size - 1] == '}');
        } else {
          FUZZ_CHECK(json == nullptr);
        }
        igor_free(json);
        return;
      }
      case 9: {
        igor_log_record record{};
        record.size = size_of(sizeof record);
        if (igor_log_next(0, &record) == IGOR_OK) {
          FUZZ_CHECK(record.size >= sizeof record && PackedPairs::well_formed({record.fields.data, record.fields.len}));
        }
        return;
      }
      case 10: {
        const igor_handle request = handle(kRequest);
        if (requests_.count(request) != 0) {
          igor_request_abort(request);
          release(request);
        } else {
          FUZZ_CHECK(igor_request_abort(request) == IGOR_GONE);
          FUZZ_CHECK(igor_request_release(request) == IGOR_GONE);
        }
        return;
      }
      case 11: {
        ErrorText error(input_);
        const uint32_t version = input_.one_in(2) ? IGOR_ABI_VERSION : edge();
        const igor_status status = igor_abi_check(version, error.data(), error.size());
        error.check(status);
        FUZZ_CHECK((status == IGOR_OK) == (version == IGOR_ABI_VERSION));
        return;
      }
      default:
        return request();
    }
  }

  void add_pool() {
    ErrorText error(input_);
    igor_pool_options options{};
    options.kind = input_.one_in(8) ? edge() : input_.below(2);
    options.file = file(options.kind == IGOR_POOL_REQUESTS ? "http_worker.php" : "worker.php");
    options.name = string();
    options.env = pairs();
    static constexpr uint32_t kNumbers[] = {0, 0, 0, 1, 2, 4097, UINT32_MAX};
    options.num = kNumbers[input_.below(7)];
    options.max_threads = kNumbers[input_.below(7)];
    options.queue = edge();
    options.overflow_reject = input_.byte();
    options.updates = edge();
    options.max_payload = input_.number(8);
    options.task_timeout_ms = input_.number(8);
    options.stop_grace_ms = 60000;  // a busy machine is no finding
    options.max_consecutive_failures = input_.one_in(4) ? static_cast<int32_t>(input_.number(4)) : 1;
    options.backoff_min_ms = input_.one_in(4) ? edge() : 1;
    options.backoff_max_ms = input_.one_in(4) ? edge() : 1;
    options.dispatch = input_.one_in(8) ? edge() : input_.below(3);
    options.max_tasks = input_.number(1);
    options.max_memory = input_.number(8);
    options.boot_timeout_ms = 5000;
    options.max_wait_ms = 1 + input_.below(20);
    if (input_.one_in(4)) options.ini = string();
    options.size = size_of(sizeof options);
    igor_handle made = 77;
    const igor_status status = igor_pool_add(handle(kScope), input_.one_in(30) ? nullptr : &options,
                                             input_.one_in(20) ? nullptr : &made, error.data(), error.size());
    error.check(status);
    FUZZ_CHECK(status == IGOR_OK || made == 0 || made == 77);
    if (status == IGOR_OK && made != 0 && made != 77) given(kPool, made);
  }

  void request() {
    igor_request_options options{};
    options.scope = input_.one_in(4) ? handle(kScope) : 0;
    options.worker = input_.one_in(4) ? handle(kPool) : 0;
    options.script_filename = file("page.php");
    options.method = input_.one_in(3) ? str("POST") : string();
    options.request_uri = string();
    options.query = input_.one_in(3) ? string() : str(std::string_view("f&e&x").substr(input_.below(5)));
    options.content_type = input_.one_in(3) ? str("multipart/form-data; boundary=x") : string();
    options.cookie = string();
    options.content_length =
        input_.one_in(3) ? static_cast<int64_t>(input_.number(8)) : static_cast<int8_t>(input_.byte());
    options.authorization = input_.one_in(3) ? str("Basic dTpw") : string();
    options.server_vars = pairs();
    options.env = pairs();
    options.request_headers = pairs();
    options.is_http1_0 = static_cast<int>(input_.below(3));
    options.body = string();
    options.body_whole = static_cast<int>(input_.below(2));
    options.attended = 0;
    static uint64_t tokens = 0;
    options.token = ++tokens * 100 + input_.below(100);
    options.max_wait_ms = 1 + input_.below(50);
    options.size = size_of(sizeof options);
    igor_handle made = 77;
    const bool whole = options.size == sizeof options;
    if (igor_request_start(input_.one_in(30) ? nullptr : &options, &made) != IGOR_OK) {
      FUZZ_CHECK(made == 0);
      return;
    }
    given(kRequest, made);
    requests_.insert(made);
    igor_event event{};
    event.size = size_of(sizeof event);
    // A shorter struct has no token: nobody would be called.
    if (!whole) return;
    if (options.worker != 0) {
      if (input_.one_in(2)) igor_request_abort(made);
      // As the host does whose patience is at an end, whether its token comes or not.
      Attention::serve(made, options.token);
      return;
    }
    attention_.expect(options.token, made);
    const igor_status status = igor_request_run(made, &event);
    FUZZ_CHECK(status == IGOR_OK || (status == IGOR_INVALID && event.size < sizeof event));
    if (status == IGOR_OK && event.kind == IGOR_EVENT_NONE) {
      attention_.await(options.token);
    } else {
      attention_.forget(options.token);
    }
    if (status == IGOR_OK && event.kind == IGOR_EVENT_FINISHED) {
      FUZZ_CHECK(PackedPairs::well_formed({event.headers.data, event.headers.len}));
    }
    if (input_.one_in(2)) release(made);
  }

  void release(igor_handle request) {
    FUZZ_CHECK(igor_request_release(request) == IGOR_OK);
    FUZZ_CHECK(igor_request_release(request) == IGOR_GONE);
    requests_.erase(request);
  }
  void close(igor_handle generation) {
    FUZZ_CHECK(igor_generation_close(generation) == IGOR_OK);
    FUZZ_CHECK(igor_generation_close(generation) == IGOR_GONE);
    generations_.erase(generation);
  }

  Input input_;
  Attention& attention_;
  std::array<std::vector<igor_handle>, kKinds> given_;
  std::set<igor_handle> generations_, requests_;
  std::vector<std::unique_ptr<std::string>> strings_;
};

}  // namespace
}  // namespace igor::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  igor_engine_options options{};
  options.ini = igor::fuzz::str("opcache.enable=0\ndisplay_errors=0\nmemory_limit=128M\nmax_execution_time=10\n");
  for (const uint32_t size : {0u, 3u, static_cast<uint32_t>(sizeof options) + 1, UINT32_MAX}) {
    options.size = size;
    FUZZ_CHECK(igor_engine_start(&options, nullptr, 0) == IGOR_INVALID);
  }
  FUZZ_CHECK(igor_engine_start(nullptr, nullptr, 0) == IGOR_INVALID);
  options.size = sizeof options;
  FUZZ_CHECK(igor_engine_start(&options, nullptr, 0) == IGOR_OK);
  FUZZ_CHECK(igor_engine_start(&options, nullptr, 0) == IGOR_STATE);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const attention = new igor::fuzz::Attention;
  igor::fuzz::Play(data, size, *attention).run();
  return 0;
}
