// How often something happened, as sentences say it: "once", "twice", "3 times".
//
// A plain value with its text inside: it may be alive across calls into an engine that unwinds without
// destructors. Any thread.
#pragma once

#include <charconv>
#include <string_view>

namespace igor {

class Times {
 public:
  enum Form : bool { Plain, InARow };

  // InARow: "once", "twice in a row", "3 times in a row".
  explicit Times(int count, Form form = Plain) noexcept {
    if (count == 1 || count == 2) {
      append(count == 1 ? "once" : "twice");
    } else {
      length_ = static_cast<size_t>(std::to_chars(text_, text_ + kDigits, count).ptr - text_);
      append(" times");
    }
    if (form == InARow && count != 1) append(" in a row");
    text_[length_] = 0;
  }

  const char* text() const noexcept { return text_; }

 private:
  static constexpr size_t kDigits = 11;  // with a sign

  void append(std::string_view part) noexcept { length_ += part.copy(text_ + length_, part.size()); }

  size_t length_ = 0;
  char text_[kDigits + sizeof " times in a row"];
};

}  // namespace igor
