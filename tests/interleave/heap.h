// The heap as virtual threads see it: what they allocate and do not free by the end of an execution is a leak,
// and what they free is not given out again before that end, so that a late use meets a block that says so.
// Under AddressSanitizer freed blocks are left to its own quarantine.
#pragma once

#include <cstdint>

namespace igor::interleave::heap {

// Blocks of virtual threads that are not freed.
int64_t live() noexcept;
void forget() noexcept;  // after an execution that was cut short
// Gives back what was freed.
void settle() noexcept;

// Whether what is allocated now belongs to virtual threads.
bool watch(bool on) noexcept;  // returns what it was

class Unwatched {
 public:
  Unwatched() noexcept : before_(watch(false)) {}
  ~Unwatched() { watch(before_); }
  Unwatched(const Unwatched&) = delete;
  Unwatched& operator=(const Unwatched&) = delete;

 private:
  const bool before_;
};

}  // namespace igor::interleave::heap
