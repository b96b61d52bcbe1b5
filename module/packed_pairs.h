// Lists of key and value strings in one buffer: each string is a 4-byte length in host order and its
// bytes; key, value, key, value, to the end of the buffer. It is how lists cross the C ABI: one copy, one
// allocation, binary safe.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace igor {

// What is longer than a length can say is cut.
inline void append_packed(std::string& out, std::string_view text) {
  text = text.substr(0, UINT32_MAX);
  const uint32_t size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(text);
}

inline void append_packed_pair(std::string& out, std::string_view key, std::string_view value) {
  append_packed(out, key);
  append_packed(out, value);
}

// Reads a list from its start. A list that is cut in the middle of a pair ends before that pair, and
// well_formed() says so.
class PackedPairs {
 public:
  explicit PackedPairs(std::string_view buffer) : rest_(buffer) {}

  bool next(std::string_view& key, std::string_view& value) {
    if (rest_.empty()) return false;
    if (take(key) && take(value)) return true;
    rest_ = {};
    return false;
  }

  static bool well_formed(std::string_view buffer) {
    PackedPairs pairs(buffer);
    std::string_view key, value;
    while (!pairs.rest_.empty()) {
      if (!pairs.take(key) || !pairs.take(value)) return false;
    }
    return true;
  }

 private:
  bool take(std::string_view& text) {
    uint32_t size;
    if (rest_.size() < sizeof size) return false;
    std::memcpy(&size, rest_.data(), sizeof size);
    if (rest_.size() - sizeof size < size) return false;
    text = rest_.substr(sizeof size, size);
    rest_.remove_prefix(sizeof size + size);
    return true;
  }

  std::string_view rest_;
};

}  // namespace igor
