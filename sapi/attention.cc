#include "sapi/attention.h"

namespace igor::sapi {

AttentionQueue& AttentionQueue::global() {
  static auto* const queue = new AttentionQueue;
  return *queue;
}

void AttentionQueue::push(uint64_t token) {
  {
    std::lock_guard lock(mutex_);
    tokens_.push_back(token);
  }
  changed_.notify_one();
}

AttentionQueue::Next AttentionQueue::next(TimePoint deadline, uint64_t& token) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [&] { return !tokens_.empty() || closed_; });
  if (tokens_.empty()) return closed_ ? Next::Closed : Next::Timeout;
  token = tokens_.front();
  tokens_.pop_front();
  return Next::Token;
}

void AttentionQueue::close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

void AttentionQueue::open() {
  std::lock_guard lock(mutex_);
  closed_ = false;
}

}  // namespace igor::sapi
