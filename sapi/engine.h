// The PHP engine: started once, stopped once, in between shared by all threads that run scripts.
//
// Starting and stopping happen on a thread of their own ("php-main"), which lives as long as the engine:
// TSRM wants both on the same thread, the host's threads come and go, and signals stay blocked there. It
// sleeps in between.
//
// The engine can be started again after a stop that came to its end. A stop that had to leave a thread
// behind does not tear anything down, because that thread still uses it; the engine is then in the state
// Abandoned until the process ends.
//
// Threads: all functions from any thread; start and stop wait for each other. Locks: one mutex for the
// life cycle, held while starting and stopping, taken by nothing else.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "module/os_thread.h"
#include "sapi/http_runner.h"
#include "sapi/thread_budget.h"

struct _zend_module_entry;

namespace igor::sapi {

struct EngineOptions {
  bool cli = false;  // the command line's conventions instead of the web's; no requests
  uint32_t max_wait_ms = 0;
  uint32_t spare_threads = 0;               // may be added under load, to all pools together
  uint32_t max_idle_ms = 0;                 // how long an added thread stays without a request; 0: 5000
  uint32_t max_requests = 0;                // after which a thread's engine state is made afresh; 0: never
  std::string ini;                          // php.ini text that overrides the files
  std::string ini_path;                     // where to look for php.ini, or the file; empty: as PHP was built
  bool ini_ignore = false;                  // read no php.ini at all
  std::string executable;                   // for PHP_BINARY; empty: none
  _zend_module_entry* extension = nullptr;  // Igor's own functions and classes
};

class Engine {
 public:
  enum class State : uint8_t { Stopped, Running, Stopping, Abandoned };

  static Engine& instance();

  // False with a sentence: already running, or PHP or a thread did not start.
  bool start(const EngineOptions& options, std::string& error);

  // Ends HTTP requests (HttpRunner::stop), then PHP. Workers must have been stopped before. False when a
  // thread is left behind. Stopping what does not run is fine.
  bool stop(std::chrono::milliseconds grace);

  State state() const noexcept { return state_.load(std::memory_order_acquire); }
  bool running() const noexcept { return state() == State::Running; }
  HttpRunner& http() noexcept { return http_; }
  ThreadBudget& budget() noexcept { return budget_; }
  // As started with; for those who make pools.
  std::chrono::milliseconds max_wait() const noexcept { return max_wait_; }
  std::chrono::milliseconds max_idle() const noexcept { return max_idle_; }

  // For threads that run scripts: as configured by zend.max_allowed_stack_size, at least the default.
  size_t thread_stack_bytes() const noexcept { return stack_bytes_; }

 private:
  Engine() = default;

  bool start_php(const EngineOptions& options, std::string& error);
  bool stop_php(bool http_ended);
  void main_thread(const EngineOptions& options);

  std::mutex lifecycle_;
  std::atomic<State> state_{State::Stopped};
  HttpRunner http_;
  ThreadBudget budget_;
  std::chrono::milliseconds max_wait_{0};
  std::chrono::milliseconds max_idle_{0};
  OsThread main_;
  size_t stack_bytes_ = OsThread::kDefaultStackBytes;

  // Between start/stop and the main thread.
  std::mutex main_mutex_;
  std::condition_variable main_changed_;
  bool started_ = false;
  bool start_failed_ = false;
  bool stop_asked_ = false;
};

}  // namespace igor::sapi
