// Puts an error's text into a caller's buffer, as igor.h promises it: NUL-terminated, cut at its end if it
// must be, never in the middle of a UTF-8 character.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace igor::api {

inline void put_error(char* buffer, size_t size, std::string_view text) noexcept {
  if (buffer == nullptr || size == 0) return;
  size_t length = text.size() < size - 1 ? text.size() : size - 1;
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  std::memcpy(buffer, text.data(), length);
  buffer[length] = '\0';
}

}  // namespace igor::api
