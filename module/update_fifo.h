// The bounded first-in-first-out of a task's updates: a ring of payloads that wait for the sender.
// Not thread-safe: the task's lock guards it. The usual size lives inside the task, a larger one in an
// allocation of its own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "module/payload.h"

namespace igor {

class UpdateFifo {
 public:
  static constexpr uint32_t kUsual = 16;

  explicit UpdateFifo(uint32_t capacity) : capacity_(capacity == 0 ? kUsual : capacity) {
    if (capacity_ > kUsual) large_ = std::make_unique<Payload[]>(capacity_);
  }

  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return size_ == capacity_; }
  uint32_t size() const noexcept { return size_; }
  uint32_t capacity() const noexcept { return capacity_; }

  // The caller has checked full() and empty().
  void push(Payload&& update) noexcept {
    place((head_ + size_) % capacity_) = std::move(update);
    ++size_;
  }
  Payload pop() noexcept {
    Payload update = std::move(place(head_));
    head_ = (head_ + 1) % capacity_;
    --size_;
    return update;
  }
  void clear() noexcept {
    while (!empty()) pop();
  }

 private:
  Payload& place(uint32_t index) noexcept { return large_ ? large_[index] : usual_[index]; }

  std::array<Payload, kUsual> usual_;
  std::unique_ptr<Payload[]> large_;
  uint32_t capacity_;
  uint32_t head_ = 0;
  uint32_t size_ = 0;
};

}  // namespace igor
