// Which mistake is made: for the copies of the core's files that faults.cmake writes.
#pragma once

namespace igor::interleave {

bool fault(const char* name) noexcept;
void make(const char* name) noexcept;  // that one, and no other
// Its text is not in the core any more, so that it can't be made.
bool fault_is_gone(const char* name);
bool is_gone(const char* name);

}  // namespace igor::interleave
