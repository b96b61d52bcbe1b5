// A line of the log, made where nothing may be allocated and nothing can be relied on: in the handler of a crash.
//
// A JSON object in the form of Caddy's log, with members of text, in memory of its own. It is whole after each member:
// a value that is too long is cut, a member for which no room is left is left out, and so is one in the middle of which
// the thread faulted again. Written in one piece, which a pipe does not mix with others'.
//
// One thread; async-signal-safe. Kept where it need not be constructed: begin() does all.
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace igor::sapi {

class CrashLine {
 public:
  static constexpr size_t kLongestValue = 512;

  void begin(std::string_view level, std::string_view logger, std::string_view message) noexcept;
  void member(std::string_view name, std::string_view value) noexcept;
  void member(std::string_view name, uint64_t number) noexcept;
  // An address, or a place in a named thing: NAME+0x1234.
  void member_address(std::string_view name, uintptr_t address, std::string_view in = {}) noexcept;
  // What there is, with its end. Begun again or added to after that, it is another line.
  std::string_view finish() noexcept;

 private:
  static constexpr size_t kRoom = PIPE_BUF - 4;  // and its end

  void open(std::string_view name) noexcept;
  void close() noexcept;
  void put(std::string_view text) noexcept;
  void put_number(uint64_t number, size_t digits = 1) noexcept;
  void put_hex(uint64_t number) noexcept;
  void put_value(std::string_view text) noexcept;

  char text_[PIPE_BUF];
  size_t size_;
  size_t whole_;  // up to where it is
};

}  // namespace igor::sapi
