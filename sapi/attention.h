// Requests that need their caller before they are over.
//
// A thread that runs a request (HttpRunner) hands over the whole answer when the script has ended. A script
// that flushes, prints more than is kept, reads a large body or completes its response early needs somebody
// on the other side before that, and no call may be made from PHP's stack into the host. So the request's
// token, a number of the host's choosing, is put here, and one thread of the host waits for such tokens and
// tells whoever waits for that request to serve it (HttpRequest::next).
//
// Threads: push() any, next() one at a time. Lock: one mutex, a leaf; a request's may be held.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

#include "module/clock.h"

namespace igor::sapi {

class AttentionQueue {
 public:
  // The process's one. Never destroyed.
  static AttentionQueue& global();

  void push(uint64_t token);
  enum class Next : uint8_t { Token, Timeout, Closed };
  Next next(TimePoint deadline, uint64_t& token);

  // Ends next() once all tokens were taken; the next engine opens the queue again.
  void close();
  void open();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<uint64_t> tokens_;
  bool closed_ = false;
};

}  // namespace igor::sapi
