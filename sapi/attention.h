// Requests that need their caller.
//
// A thread that runs a request (HttpRunner) hands over the whole answer when the script has ended, and an HTTP worker
// answers while nobody waits for it in a call. A script that flushes, prints more than is kept, reads a large body or
// completes its response early needs somebody on the other side before that, and so does every answer of a worker; and
// no call may be made from PHP's stack into the host. So the request is put here, once in its life. The host waits for
// the descriptor among all else that it waits for, takes the tokens of such requests, numbers of its own choosing, and
// serves them (HttpRequest::next).
//
// Shape: a list that is linked through the requests themselves, so that to put one there takes no memory and cannot
// fail, and no lock: who puts exchanges the head, who takes takes all there are. The descriptor is an eventfd. It is
// written to only by who finds the list empty: until whoever takes has emptied the list again, he knows that there is
// something. He takes after he was told of a write, and what comes after he has taken is another write.
//
// Threads: push() any; take() one at a time; open() while nobody else is here, close() any. Locks: none. Lifetime: the
// list holds a Ref to each request in it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace igor::sapi {

class HttpRequest;

class AttentionQueue {
 public:
  // The process's one. Never destroyed.
  static AttentionQueue& global();

  AttentionQueue() noexcept { open(); }
  AttentionQueue(const AttentionQueue&) = delete;
  AttentionQueue& operator=(const AttentionQueue&) = delete;

  void push(HttpRequest& request) noexcept;
  // Up to `room` tokens, the oldest first, without waiting; how many there were.
  size_t take(uint64_t* tokens, size_t room) noexcept;

  // Readable when there may be something to take, and from close() on. Non-blocking; the queue's own. -1 when there was
  // none to be had, see open().
  int fd() const noexcept { return fd_; }

  // Nobody will put anything here; the next engine opens the queue again. False, with errno: out of descriptors.
  void close() noexcept;
  bool open() noexcept;
  bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }

 private:
  void raise() const noexcept;

  std::atomic<HttpRequest*> pushed_{nullptr};  // the youngest first
  HttpRequest* taken_ = nullptr;               // the oldest first; of the one who takes
  std::atomic<bool> closed_{false};
  int fd_ = -1;
};

}  // namespace igor::sapi
