#include "sapi/crash_line.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "module/utf8.h"

namespace igor::sapi {

void CrashLine::begin(std::string_view level, std::string_view logger, std::string_view message) noexcept {
  size_ = whole_ = 0;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  put("{\"level\":\"");
  put(level);
  put("\",\"ts\":");
  put_number(static_cast<uint64_t>(now.tv_sec));
  put(".");
  put_number(static_cast<uint64_t>(now.tv_nsec / 1000), 6);
  whole_ = size_;
  member("logger", logger);
  member("msg", message);
}

void CrashLine::member(std::string_view name, std::string_view value) noexcept {
  open(name);
  put_value(value);
  close();
}

void CrashLine::member(std::string_view name, uint64_t number) noexcept {
  open(name);
  put_number(number);
  close();
}

void CrashLine::member_address(std::string_view name, uintptr_t address, std::string_view in) noexcept {
  open(name);
  put_value(in);
  if (!in.empty()) put("+");
  put_hex(address);
  close();
}

std::string_view CrashLine::finish() noexcept {
  size_ = whole_;
  std::memcpy(text_ + size_, "}\n", 2);
  return {text_, size_ + 2};
}

void CrashLine::open(std::string_view name) noexcept {
  size_ = whole_;
  put(",\"");
  put(name);
  put("\":\"");
}

void CrashLine::close() noexcept {
  put("\"");
  if (size_ < kRoom) whole_ = size_;
}

void CrashLine::put(std::string_view text) noexcept {
  const size_t fits = std::min(text.size(), kRoom - size_);
  std::memcpy(text_ + size_, text.data(), fits);
  size_ += fits;
}

void CrashLine::put_number(uint64_t number, size_t digits) noexcept {
  char text[20];
  size_t at = sizeof text;
  while (number != 0 || at + digits > sizeof text) {
    text[--at] = static_cast<char>('0' + number % 10);
    number /= 10;
  }
  put({text + at, sizeof text - at});
}

void CrashLine::put_hex(uint64_t number) noexcept {
  char text[16];
  size_t at = sizeof text;
  do {
    text[--at] = "0123456789abcdef"[number % 16];
    number /= 16;
  } while (number != 0);
  put("0x");
  put({text + at, sizeof text - at});
}

void CrashLine::put_value(std::string_view text) noexcept {
  const size_t end = std::min(text.size(), kLongestValue);
  for (size_t at = 0; at < end;) {
    const size_t length = utf8_character(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0) {
      put("\xef\xbf\xbd");
    } else if (byte == '"' || byte == '\\') {
      put("\\");
      put(text.substr(at, 1));
    } else if (byte < 0x20) {
      put("\\u00");
      put({&"0123456789abcdef"[byte / 16], 1});
      put({&"0123456789abcdef"[byte % 16], 1});
    } else {
      put(text.substr(at, length));
    }
    at += std::max<size_t>(length, 1);
  }
}

}  // namespace igor::sapi
