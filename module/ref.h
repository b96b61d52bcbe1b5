// Intrusive shared ownership: the count lives in the object, so that a raw pointer can be turned back
// into an owner and a task costs one allocation. A Ref owns; a raw pointer is borrowed.
#pragma once

#include <cstdint>
#include <utility>

#include "module/sync.h"

namespace igor {

template <typename T>
class RefCounted {
 public:
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void retain() const noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  void release() const noexcept {
    // acq_rel: what every owner did to the object happens before its destruction.
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete static_cast<const T*>(this);
  }

 protected:
  RefCounted() = default;
  ~RefCounted() = default;

 private:
  mutable ReferenceCount count_{1};  // born owned, see Ref::adopt
};

template <typename T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) noexcept {}
  explicit Ref(T* borrowed) noexcept : pointer_(borrowed) {
    if (pointer_) pointer_->retain();
  }
  static Ref adopt(T* owned) noexcept {
    Ref ref;
    ref.pointer_ = owned;
    return ref;
  }
  Ref(const Ref& other) noexcept : Ref(other.pointer_) {}
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~Ref() {
    if (pointer_) pointer_->release();
  }

  T* get() const noexcept { return pointer_; }
  T& operator*() const noexcept { return *pointer_; }
  T* operator->() const noexcept { return pointer_; }
  explicit operator bool() const noexcept { return pointer_ != nullptr; }
  // Gives the ownership away as a raw pointer, for keeping it where no destructor runs (Ref::adopt
  // takes it back).
  [[nodiscard]] T* leak() noexcept { return std::exchange(pointer_, nullptr); }

 private:
  T* pointer_ = nullptr;
};

}  // namespace igor
