#include "sapi/attention.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "module/ref.h"
#include "sapi/http_request.h"

namespace igor::sapi {

AttentionQueue& AttentionQueue::global() {
  static AttentionQueue queue;  // needs no memory, and has nothing to destroy
  return queue;
}

bool AttentionQueue::open() noexcept {
  closed_.store(false, std::memory_order_release);
  if (fd_ < 0) fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd_ >= 0;
}

void AttentionQueue::close() noexcept {
  closed_.store(true, std::memory_order_release);
  raise();
}

// EINTR: a nudge may hit this very call. Its counter never overflows, so nothing else can fail.
void AttentionQueue::raise() const noexcept {
  const uint64_t one = 1;
  while (write(fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void AttentionQueue::push(HttpRequest& request) noexcept {
  HttpRequest* const mine = Ref<HttpRequest>(&request).leak();
  HttpRequest* head = pushed_.load(std::memory_order_relaxed);
  do {
    mine->next_in_need_ = head;
  } while (!pushed_.compare_exchange_weak(head, mine, std::memory_order_release, std::memory_order_relaxed));
  if (head == nullptr) raise();
}

size_t AttentionQueue::take(uint64_t* tokens, size_t room) noexcept {
  size_t count = 0;
  while (count < room) {
    if (taken_ == nullptr) {
      HttpRequest* young = pushed_.exchange(nullptr, std::memory_order_acquire);
      while (young != nullptr) {
        HttpRequest* const older = std::exchange(young->next_in_need_, taken_);
        taken_ = std::exchange(young, older);
      }
      if (taken_ == nullptr) break;
    }
    const auto request = Ref<HttpRequest>::adopt(taken_);
    taken_ = std::exchange(request->next_in_need_, nullptr);
    tokens[count++] = request->token();
  }
  return count;
}

}  // namespace igor::sapi
