// Where the API's own C++ runs out of memory: the one place at which std::bad_alloc becomes an exception of PHP's.
//
// Functions that do not enter the engine run inside of fits(); what they may throw ends there, before any frame of
// PHP's. (The engine's own memory is another matter: it ends the script, or the process.)
#pragma once

#include <new>
#include <utility>

namespace igor::api {

// False: there was no memory for it, and it has done nothing. `body` must not enter the engine.
template <typename Body>
[[nodiscard]] bool fits(Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// RuntimeException.
void throw_no_memory();

}  // namespace igor::api
