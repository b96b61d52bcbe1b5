#include "module/interrupt.h"

#include "module/wakeup.h"

namespace igor {

void Interrupt::raise() noexcept {
  raised_.store(true, std::memory_order_release);
  std::lock_guard lock(mutex_);
  if (sleeping_on_ != nullptr) sleeping_on_->notify();
}

Interrupt::Sleep::Sleep(Interrupt* interrupt, Wakeup& wakeup) noexcept : interrupt_(interrupt) {
  if (interrupt_ == nullptr) return;
  std::lock_guard lock(interrupt_->mutex_);
  interrupt_->sleeping_on_ = &wakeup;
}

Interrupt::Sleep::~Sleep() {
  if (interrupt_ == nullptr) return;
  std::lock_guard lock(interrupt_->mutex_);
  interrupt_->sleeping_on_ = nullptr;
}

}  // namespace igor
