#include "module/log.h"

#include <chrono>

namespace igor {
namespace {

size_t weight(const LogRecord& record) {
  size_t bytes = sizeof(LogRecord) + record.message.size() + record.context_json.size();
  for (const auto& [key, value] : record.fields) bytes += key.size() + value.size() + 64;
  return bytes;
}

}  // namespace

LogQueue& LogQueue::global() {
  static LogQueue* queue = new LogQueue;  // never destroyed: abandoned threads may still log at exit
  return *queue;
}

void LogQueue::push(LogRecord record) noexcept {
  try {
    if (record.time_unix_ns == 0) {
      record.time_unix_ns =
          std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
              .count();
    }
    const size_t bytes = weight(record);
    std::unique_lock lock(mutex_);
    const auto fits = [&] { return records_.empty() || bytes_ + bytes <= kMaxBytes; };
    writable_.wait_for(lock, std::chrono::milliseconds(100), [&] { return closed_ || fits(); });
    if (!fits()) {
      ++dropped_;
      return;
    }
    records_.push_back(std::move(record));
    bytes_ += bytes;
    drained_.store(false, std::memory_order_release);
    readable_.notify_one();
  } catch (...) {
    count_dropped();
  }
}

void LogQueue::count_dropped() noexcept {
  std::lock_guard lock(mutex_);
  ++dropped_;
}

LogQueue::Next LogQueue::next(uint32_t timeout_ms, LogRecord& record, uint64_t& dropped) {
  std::unique_lock lock(mutex_);
  if (records_.empty()) drained_.store(true, std::memory_order_release);
  readable_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return closed_ || !records_.empty(); });
  if (records_.empty()) return closed_ ? Next::Closed : Next::Timeout;
  record = std::move(records_.front());
  records_.pop_front();
  bytes_ -= weight(record);
  dropped = std::exchange(dropped_, 0);
  writable_.notify_all();
  return Next::Record;
}

void LogQueue::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  readable_.notify_all();
  writable_.notify_all();
}

void LogQueue::reopen() {
  std::lock_guard lock(mutex_);
  closed_ = false;
}

}  // namespace igor
