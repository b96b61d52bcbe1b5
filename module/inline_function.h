// A function without arguments that keeps what it has captured inside of itself: making, moving and calling one
// allocates nothing, where std::function puts most captures on the heap. So what is prepared with one cannot
// fail for lack of memory.
//
// Move-only. What it captures must be movable without exceptions, and fit; both are checked when it is compiled.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace igor {

template <size_t kBytes>
class InlineFunction {
 public:
  InlineFunction() = default;
  template <typename Body>
    requires(!std::is_same_v<std::decay_t<Body>, InlineFunction>)
  InlineFunction(Body&& body) {  // as implicit as std::function's
    using Kept = std::decay_t<Body>;
    static_assert(sizeof(Kept) <= kBytes && alignof(Kept) <= alignof(std::max_align_t), "captures too much");
    static_assert(std::is_nothrow_move_constructible_v<Kept>);
    new (static_cast<void*>(kept_)) Kept(std::forward<Body>(body));
    call_ = [](void* kept) { (*static_cast<Kept*>(kept))(); };
    move_ = [](void* from, void* to) noexcept {
      if (to != nullptr) new (to) Kept(std::move(*static_cast<Kept*>(from)));
      static_cast<Kept*>(from)->~Kept();
    };
  }
  InlineFunction(InlineFunction&& other) noexcept { take(other); }
  InlineFunction& operator=(InlineFunction&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~InlineFunction() { reset(); }

  void reset() noexcept {
    if (move_ != nullptr) std::exchange(move_, nullptr)(kept_, nullptr);
    call_ = nullptr;
  }
  explicit operator bool() const noexcept { return call_ != nullptr; }
  void operator()() { call_(kept_); }

 private:
  void take(InlineFunction& other) noexcept {
    if (other.move_ != nullptr) other.move_(other.kept_, kept_);
    call_ = std::exchange(other.call_, nullptr);
    move_ = std::exchange(other.move_, nullptr);
  }

  void (*call_)(void*) = nullptr;
  void (*move_)(void*, void*) noexcept = nullptr;  // to nowhere: destroys
  alignas(std::max_align_t) std::byte kept_[kBytes];
};

}  // namespace igor
