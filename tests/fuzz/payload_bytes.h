// Payloads made from a fuzz input: by the letter of docs/architecture/payload.md and not with PayloadWriter, so that
// the two are checked against each other.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/input.h"

namespace igor::fuzz {

class PayloadBytes {
 public:
  explicit PayloadBytes(Input& input) : input_(input) {
    word(0x0200'4c50'5247'4947);
    value(0);
  }
  std::string bytes;

 private:
  enum Tag : uint8_t {
    kNull,
    kFalse,
    kTrue,
    kInt,
    kInt64,
    kFloat,
    kString,
    kList,
    kMap,
    kEnum,
    kInts,
    kFloats,
    kTable
  };

  void word(uint64_t value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void head(Tag tag, uint64_t operand) { word(operand << 8 | tag); }
  void text(std::string_view text) {
    bytes.append(text);
    bytes.append((8 - text.size() % 8) % 8, '\0');
  }
  void integer(int64_t value) {
    constexpr int64_t kShort = int64_t{1} << 55;
    if (value >= -kShort && value < kShort) return head(kInt, static_cast<uint64_t>(value) & ((uint64_t{1} << 56) - 1));
    head(kInt64, 0);
    word(static_cast<uint64_t>(value));
  }
  void string(std::string_view string) {
    head(kString, string.size());
    text(string);
  }
  // Distinct within a map, and none that looks like a number, as the keys of an array are.
  void key(uint32_t position) {
    if (input_.one_in(2)) return integer(static_cast<int64_t>(position) * 3 + 1);
    string("k" + std::to_string(position) + std::string(input_.text(input_.below(70))));
  }
  void value(int depth) {
    const uint32_t kind = input_.below(15);
    switch (kind) {
      case kNull:
      case kFalse:
      case kTrue:
        return head(static_cast<Tag>(kind), 0);
      case kInt:
        return integer(static_cast<int8_t>(input_.byte()));
      case kInt64:
        return integer(static_cast<int64_t>(input_.number(8)));
      case kFloat:
        head(kFloat, 0);
        return word(input_.number(8));
      case kString:
        return string(input_.text(input_.byte()));
      case kEnum: {
        // Known ones, unknown ones, and names that nobody may have.
        static constexpr std::string_view kNames[] = {"Igor\\Reason", "igor\\reason", "Igor\\Nothing", "stdClass",
                                                      "../x"};
        static constexpr std::string_view kCases[] = {"Exited", "Shutdown", "exited", "Nothing"};
        const std::string_view name = kNames[input_.below(5)], one = kCases[input_.below(4)];
        head(kEnum, name.size());
        word(one.size());
        return text(std::string(name) + std::string(one));
      }
      default:
        break;
    }
    if (depth >= 512) return head(kNull, 0);
    if (kind == kInts || kind == kFloats) {
      const uint32_t count = input_.below(9);
      head(static_cast<Tag>(kind), count);
      for (uint32_t i = 0; i < count; ++i) word(input_.number(8));
      return;
    }
    if (kind == kTable) return table(depth);
    // Deep ones come of long runs of one byte, which mutators like to make.
    const bool map = kind != kList && kind != 13;
    const uint32_t count = input_.empty() ? 0 : kind >= 13 ? 1 : input_.below(9);
    head(map ? kMap : kList, count);
    for (uint32_t i = 0; i < count; ++i) {
      if (map) key(i);
      value(depth + 1);
    }
  }

  void table(int depth) {
    if (depth >= 511) return head(kNull, 0);
    const uint32_t rows = 1 + input_.below(4), columns = 1 + input_.below(4);
    head(kTable, rows);
    word(columns);
    for (uint32_t i = 0; i < columns; ++i) key(i);
    for (uint32_t i = 0; i < rows * columns; ++i) value(depth + 2);
  }

  Input& input_;
};

// As an attacker or a broken wire would change them.
inline void damage(std::string& bytes, Input& input) {
  for (uint32_t i = input.below(8); i > 0 && !bytes.empty(); --i) {
    const size_t place = input.number(2) % bytes.size();
    switch (input.below(6)) {
      case 0:
        bytes[place] = static_cast<char>(bytes[place] ^ (1 << input.below(8)));
        break;
      case 1:
        bytes[place] = static_cast<char>(input.byte());
        break;
      case 2:
        bytes.resize(place);
        break;
      case 3:
        bytes.insert(place & ~size_t{7}, 8, static_cast<char>(input.byte()));
        break;
      case 4:  // the operand of a head
        bytes.replace(place & ~size_t{7}, 8, bytes.substr(input.number(2) % bytes.size() & ~size_t{7}, 8));
        break;
      default:
        bytes.append(input.text(input.below(20)));
    }
  }
}

// Either raw bytes, or ones behind a good header, or a well-made payload that is damaged, or one that is not:
// `sound` says so.
inline std::string payload_from(Input& input, bool& sound) {
  sound = false;
  switch (input.below(4)) {
    case 0:
      return std::string(input.rest());
    case 1: {
      const uint64_t magic = 0x0200'4c50'5247'4947;
      return std::string(reinterpret_cast<const char*>(&magic), sizeof magic) + std::string(input.rest());
    }
    case 2: {
      const Input before = input;
      std::string bytes = PayloadBytes(input).bytes;
      Input changes = input.empty() ? before : input;
      damage(bytes, changes);
      return bytes;
    }
    default:
      sound = true;
      return PayloadBytes(input).bytes;
  }
}

}  // namespace igor::fuzz
