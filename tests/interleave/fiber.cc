#include "tests/interleave/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace igor::interleave {
namespace {
[[maybe_unused]] Fiber* came_from = nullptr;
}

Fiber::~Fiber() {
  if (stack_ != nullptr) munmap(stack_, kStackBytes);
}

void Fiber::prepare(void (*entry)()) {
  if (stack_ == nullptr) {
    stack_ = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack_ == MAP_FAILED) throw std::bad_alloc();
    // An overflow stops here.
    mprotect(stack_, static_cast<size_t>(sysconf(_SC_PAGESIZE)), PROT_NONE);
  }
#ifdef __SANITIZE_ADDRESS__
  // What a dropped fiber left there.
  const auto guard = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  __asan_unpoison_memory_region(static_cast<char*>(stack_) + guard, kStackBytes - guard);
#endif
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = kStackBytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
  bottom_ = stack_;
  size_ = kStackBytes;
}

void Fiber::change(Fiber& self, Fiber& other, [[maybe_unused]] bool last) {
#ifdef __SANITIZE_ADDRESS__
  came_from = &self;
  __sanitizer_start_switch_fiber(last ? nullptr : &self.sanitizer_, other.bottom_, other.size_);
#endif
  swapcontext(&self.context_, &other.context_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(self.sanitizer_, &came_from->bottom_, &came_from->size_);
#endif
}

void Fiber::arrived() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &came_from->bottom_, &came_from->size_);
#endif
}

}  // namespace igor::interleave
