// The command line's workers, hosted through the same ABI that the server uses.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "module/packed_pairs.h"
#include "php-api/abi/abi.h"
#include "php-api/abi/scopes.h"
#include "sapi/cli.h"
#include "sapi/zend.h"

using igor::abi::str;
using igor::sapi::CliWorker;

extern "C" zend_module_entry igor_module_entry;

namespace {

constexpr uint32_t kReadyWithinMs = 30'000;

class Workers : public igor::sapi::CliHost {
 public:
  bool start_workers(const std::vector<CliWorker>& workers, igor::Scope*& scope, std::string& error) override {
    char text[4096] = "";
    const auto failed = [&] {
      error = text;
      return false;
    };
    igor_handle handle;
    if (igor_generation_open(0, &generation_, text, sizeof text) != IGOR_OK) return failed();
    if (igor_scope_open(generation_, str("cli"), 1, &handle, text, sizeof text) != IGOR_OK) return failed();
    for (const CliWorker& worker : workers) {
      igor_pool_options options{};
      std::string env;
      if (!translate(worker, options, env, error)) return false;
      if (igor_pool_add(handle, &options, nullptr, text, sizeof text) != IGOR_OK) return failed();
    }
    if (igor_generation_start(generation_, text, sizeof text) != IGOR_OK) return failed();
    scope_ = igor::api::find_scope(handle);
    scope = scope_.get();
    return true;
  }

  void stop_workers() override {
    if (generation_ != 0) igor_generation_close(generation_);
    scope_.reset();
  }

 private:
  static bool translate(const CliWorker& worker, igor_pool_options& options, std::string& env, std::string& error) {
    options.size = sizeof options;
    options.name = str(worker.name);
    options.file = str(worker.file);
    options.stop_grace_ms = 5000;
    options.boot_timeout_ms = kReadyWithinMs;
    for (const auto& [key, value] : worker.options) {
      if (key.rfind("env.", 0) == 0) {
        igor::append_packed_pair(env, std::string_view(key).substr(4), value);
        continue;
      }
      if (key == "overflow") {
        if (value != "block" && value != "reject") {
          error = "worker \"" + worker.name + "\": overflow is \"" + value + "\"; it must be block or reject";
          return false;
        }
        options.overflow_reject = value == "reject";
        continue;
      }
      int64_t number = 0;
      const bool is_number = parse_number(value, number);
      if (!set_number(options, key, number)) {
        error = "worker \"" + worker.name + "\": unknown option \"" + key +
                "\"; known are num, max_threads, queue, overflow, updates, max_payload, task_timeout_ms, "
                "stop_grace_ms, max_consecutive_failures, backoff_min_ms, backoff_max_ms, max_tasks, max_memory and "
                "env.NAME";
        return false;
      }
      const bool failures = key == "max_consecutive_failures";
      if (!is_number || (failures ? number < -1 || number == 0 : number < 0)) {
        error = "worker \"" + worker.name + "\": " + key + " is \"" + value + "\"; it must be a whole number, " +
                (failures ? "1 or more (-1: never)" : "0 or more");
        return false;
      }
    }
    // The pool's own default raises max_threads to num; two numbers that somebody wrote must agree.
    if (!worker.name.empty() && options.max_threads > 0 && options.max_threads < options.num) {
      error = "worker \"" + worker.name + "\": max_threads " + std::to_string(options.max_threads) + " is below num " +
              std::to_string(options.num) + "; raise max_threads or lower num";
      return false;
    }
    options.env = str(env);
    return true;
  }

  static bool parse_number(const std::string& text, int64_t& number) {
    char* end = nullptr;
    number = std::strtoll(text.c_str(), &end, 10);
    return !text.empty() && *end == '\0';
  }

  static bool set_number(igor_pool_options& options, const std::string& key, int64_t number) {
    const auto small = static_cast<uint32_t>(number);
    if (key == "num")
      options.num = small;
    else if (key == "max_threads")
      options.max_threads = small;
    else if (key == "queue")
      options.queue = small;
    else if (key == "updates")
      options.updates = small;
    else if (key == "max_payload")
      options.max_payload = static_cast<uint64_t>(number);
    else if (key == "task_timeout_ms")
      options.task_timeout_ms = static_cast<uint64_t>(number);
    else if (key == "stop_grace_ms")
      options.stop_grace_ms = small;
    else if (key == "max_consecutive_failures")
      options.max_consecutive_failures = static_cast<int32_t>(number);
    else if (key == "backoff_min_ms")
      options.backoff_min_ms = small;
    else if (key == "backoff_max_ms")
      options.backoff_max_ms = small;
    else if (key == "max_tasks")
      options.max_tasks = static_cast<uint64_t>(number);
    else if (key == "max_memory")
      options.max_memory = static_cast<uint64_t>(number);
    else
      return false;
    return true;
  }

  igor_handle generation_ = 0;
  std::shared_ptr<igor::Scope> scope_;
};

}  // namespace

extern "C" int igor_cli_main(int argc, char** argv) noexcept {
  try {
    Workers workers;
    return igor::sapi::cli_main(argc, argv, &igor_module_entry, workers);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "igor: %s\n", exception.what());
    return 1;
  }
}
