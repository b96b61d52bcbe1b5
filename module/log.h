// The log queue: everything that workers and requests have to say, on its way to the host's logger.
//
// Producers are any threads; the consumer is one host thread that blocks in next(). A queue, because
// the host's logger is Go's and no call into Go may be made from a PHP stack. It is bounded in bytes:
// a producer that finds it full waits briefly for the consumer, then drops its record and counts it,
// so that a stuck log sink can never hang a worker for ever and a loss is always reported. With no
// consumer (closed) it does not wait.
//
// Locks: one mutex, a leaf (nothing else is taken under it).
#pragma once

#include <cstdint>
#include <deque>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "module/sync.h"

namespace igor {

// The levels of Go's slog, so that frankenphp_log()'s numbers pass through unchanged.
enum LogLevel : int { kLogDebug = -4, kLogInfo = 0, kLogWarn = 4, kLogError = 8 };

struct LogRecord {
  int level = kLogInfo;
  int64_t time_unix_ns = 0;  // filled by push() when 0
  std::string logger;        // "php", "worker" or "engine"
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string context_json;
};

class LogQueue {
 public:
  static constexpr size_t kMaxBytes = 16u << 20;

  // The process's one queue. Before the engine starts and in tests it works the same.
  static LogQueue& global();

  // Never throws; a record that does not fit within about 100 ms is counted as dropped.
  void push(LogRecord record) noexcept;
  // The same for one that `make` makes: one that it finds no memory for is counted as dropped, too.
  template <typename Make>
    requires std::is_invocable_r_v<LogRecord, Make>
  void push(Make&& make) noexcept {
    try {
      push(LogRecord(make()));
    } catch (const std::bad_alloc&) {
      count_dropped();
    }
  }

  // A record that could not even be made.
  void count_dropped() noexcept;

  enum class Next { Record, Timeout, Closed };
  // Blocks for at most `timeout_ms`. `dropped` is the number lost since the last record read.
  Next next(uint32_t timeout_ms, LogRecord& record, uint64_t& dropped);

  // Whether the reader waits for more, having dealt with all that was pushed. Takes no lock, so that whoever ends the
  // process in a signal handler can see that the last words were written; only a hint otherwise.
  bool drained() const noexcept { return drained_.load(std::memory_order_acquire); }

  // Ends next() once the queue is empty. push() still works (records wait for a later reader).
  void close();
  void reopen();

 private:
  Mutex mutex_;
  Condition readable_;
  Condition writable_;
  std::deque<LogRecord> records_;
  size_t bytes_ = 0;
  uint64_t dropped_ = 0;
  bool closed_ = false;
  Atomic<bool> drained_{true};  // written under the mutex
};

}  // namespace igor
