// A system that refuses what it is asked for, at a call that the test chooses: memory, threads, descriptors.
//
// Memory: operator new and malloc() of all code in the executable, by replacing the one and wrapping the other
// (see tests/CMakeLists.txt). Refused is the n-th allocation from arm() on, of all threads together, and nothing else
// or everything after it too. What is alive is counted, so that a test sees what a refusal has made leak.
//
// Threads and descriptors: pthread_create() and eventfd() of the core, by wrapping them.
//
// To be included by one file of an executable.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace igor::test {

enum class Refuse { Once, FromThenOn };

// Calls that can be refused, counted down.
class Refusals {
 public:
  // The `nth` call from now on, counted from 1.
  void arm(int64_t nth, Refuse how) noexcept {
    how_.store(how);
    refused_.store(0);
    left_.store(nth);
  }
  // How many were refused since.
  int64_t disarm() noexcept {
    left_.store(0);
    return refused_.load();
  }
  // One step from count to count: between a look and a subtraction disarm() could come, and be undone by it.
  bool refuses() noexcept {
    int64_t left = left_.load(std::memory_order_relaxed);
    int64_t next;
    do {
      if (left == 0) return false;
      next = left > 1 ? left - 1 : kPast;
    } while (!left_.compare_exchange_weak(left, next));
    if (left != 1 && !(left == kPast && how_.load() == Refuse::FromThenOn)) return false;
    refused_.fetch_add(1);
    return true;
  }

 private:
  static constexpr int64_t kPast = -1;  // the nth has been

  std::atomic<int64_t> left_{0};  // 0: disarmed
  std::atomic<int64_t> refused_{0};
  std::atomic<Refuse> how_{Refuse::Once};
};

inline Refusals memory, threads, descriptors;
inline std::atomic<int64_t> living_allocations{0};
inline std::atomic<int64_t> all_allocations{0};  // so far, those that were given back among them

}  // namespace igor::test

extern "C" {
void* __real_malloc(size_t size);
void __real_free(void* block);
int __real_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
int __real_eventfd(unsigned, int);

void* __wrap_malloc(size_t size) {
  if (igor::test::memory.refuses()) {
    errno = ENOMEM;
    return nullptr;
  }
  void* const block = __real_malloc(size);
  if (block != nullptr) {
    igor::test::living_allocations.fetch_add(1, std::memory_order_relaxed);
    igor::test::all_allocations.fetch_add(1, std::memory_order_relaxed);
  }
  return block;
}
void __wrap_free(void* block) {
  if (block != nullptr) igor::test::living_allocations.fetch_sub(1, std::memory_order_relaxed);
  __real_free(block);
}
int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  return igor::test::threads.refuses() ? EAGAIN : __real_pthread_create(thread, attributes, body, argument);
}
int __wrap_eventfd(unsigned initial, int flags) {
  if (!igor::test::descriptors.refuses()) return __real_eventfd(initial, flags);
  errno = EMFILE;
  return -1;
}
}

void* operator new(size_t size) {
  if (void* const block = __wrap_malloc(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return __wrap_malloc(size == 0 ? 1 : size);
}
void operator delete(void* block) noexcept {
  __wrap_free(block);
}
void operator delete(void* block, size_t) noexcept {
  __wrap_free(block);
}
void operator delete(void* block, const std::nothrow_t&) noexcept {
  __wrap_free(block);
}
void* operator new[](size_t size) {
  return operator new(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return __wrap_malloc(size == 0 ? 1 : size);
}
void operator delete[](void* block) noexcept {
  __wrap_free(block);
}
void operator delete[](void* block, size_t) noexcept {
  __wrap_free(block);
}
