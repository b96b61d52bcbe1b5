// The primitives that threads of the core meet on: atomics, locks, and sleeping on a word.
//
// The core uses these names and never the standard ones, so that a test can put a scheduler of its own
// under the very same code and try out every order of their steps: IGOR_INTERLEAVE, when defined, is the header
// that declares them instead, and now() too (see docs/architecture/proof.md). In every other build they are the
// standard library's and the kernel's, at no cost.
#pragma once

#ifdef IGOR_INTERLEAVE
#include IGOR_INTERLEAVE
#else

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <shared_mutex>

#include "module/clock.h"

namespace igor {

template <typename T>
using Atomic = std::atomic<T>;
using Mutex = std::mutex;
using SharedMutex = std::shared_mutex;
using Condition = std::condition_variable;
// Counts the owners of an object. A name of its own, because a scheduler may leave its steps out.
using ReferenceCount = std::atomic<uint32_t>;

// Sleeps while the word is `expected`, until somebody wakes those who sleep on it or the deadline (kNever:
// none). May return without cause. The word must outlive the call.
void futex_wait(Atomic<uint32_t>& word, uint32_t expected, TimePoint deadline) noexcept;
void futex_wake_all(Atomic<uint32_t>& word) noexcept;

}  // namespace igor

#endif
