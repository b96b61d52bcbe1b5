// A stack with something that runs on it: what a virtual thread is made of.
//
// One operating system thread switches between them, so a switch is an ordinary call that returns later.
// Stacks are kept and used again. A fiber that will never be switched to again may be dropped as it is; what
// was on its stack is then not destroyed.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <memory>

namespace igor::interleave {

class Fiber {
 public:
  static constexpr size_t kStackBytes = 256 << 10;

  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From its beginning, when first switched to. `entry` must never return.
  void prepare(void (*entry)());
  // From the one that runs (`self`; of the thread's own stack: any that was never prepared). `last`: it is not
  // coming back.
  static void change(Fiber& self, Fiber& other, bool last = false);
  // The first that runs in a new fiber.
  static void arrived();

 private:
  ucontext_t context_{};
  void* stack_ = nullptr;         // null: the thread's own
  void* sanitizer_ = nullptr;     // of AddressSanitizer, while switched away
  const void* bottom_ = nullptr;  // what it wants to know of the thread's own stack
  size_t size_ = 0;
};

}  // namespace igor::interleave
