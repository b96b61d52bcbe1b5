// A payload: a value of plain data (null, bool, int, float, string, array, enum case) in one flat,
// self-contained, relocatable run of bytes, so that the same bytes may cross threads, shared memory or
// a network.
//
// Form: 64-bit words in host order. The first is the header (kMagic, format version); then one value in
// pre-order. A value is a word with its tag in the low 8 bits and an operand in the upper 56:
//
//   Null, False, True
//   Int      operand: the number, signed, when it fits 56 bits
//   Int64    next word: the number
//   Float    next word: the IEEE 754 bits
//   String   operand: length in bytes; the bytes follow, padded with zeros to a whole word
//   List     operand: count; that many values follow (keys are 0, 1, 2...)
//   Map      operand: count; that many pairs of key (Int, Int64 or String) and value follow
//   Enum     operand: length of the class name; next word: length of the case name; the bytes of both
//            follow each other, padded to a whole word
//   Ints     operand: count; that many words follow: a List of numbers without their heads
//   Floats   operand: count; that many words follow: the IEEE 754 bits
//   Table    operand: rows; next word: columns; the columns' keys follow, then the values row by row: a List
//            of Maps that all have the same keys in the same order
//
// No pointers and no offsets: writing and reading are each one forward walk. A writer is told the exact
// size first (its caller sums PayloadWriter::*_bytes), so a payload is one allocation. The reader
// checks every length against the end of the buffer, and every count against the words that are left for
// it, those of the containers around it included: hostile bytes give an error, never a wild read, and never
// more elements than the buffer has words.
//
// Payload owns its bytes and may be moved between threads; it is not shared.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace igor {

class Payload {
 public:
  Payload() = default;
  Payload(Payload&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Payload& operator=(Payload&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Payload();

  // Uninitialized memory of `size` bytes (a multiple of 8); empty when there is none.
  static Payload allocate(size_t size) noexcept;
  static Payload copy_of(std::string_view bytes) noexcept;

  uint8_t* data() noexcept { return data_; }
  const uint8_t* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return data_ == nullptr; }
  void reset() noexcept { Payload().swap(*this); }
  void swap(Payload& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

enum class PayloadTag : uint8_t { Null, False, True, Int, Int64, Float, String, List, Map, Enum, Ints, Floats, Table };

inline constexpr uint64_t kPayloadMagic = 0x0200'4c50'5247'4947;  // "IGRPL", version 2
inline constexpr int kPayloadMaxDepth = 512;                      // of arrays within arrays
inline constexpr uint64_t kPayloadMaxOperand = (uint64_t{1} << 56) - 1;

// Writes into a payload of exactly the right size: the sizes come from the same walk over the same
// value. That they do is asserted, because the alternative is a write past the end.
class PayloadWriter {
 public:
  static constexpr size_t header_bytes() noexcept { return 8; }
  static constexpr size_t scalar_bytes() noexcept { return 8; }  // null, bool; List and Map themselves
  static constexpr bool int_is_short(int64_t value) noexcept {
    return value >= -(int64_t{1} << 55) && value < (int64_t{1} << 55);
  }
  static constexpr size_t int_bytes(int64_t value) noexcept { return int_is_short(value) ? 8 : 16; }
  static constexpr size_t float_bytes() noexcept { return 16; }
  static constexpr size_t string_bytes(size_t length) noexcept { return 8 + padded(length); }
  static constexpr size_t enum_bytes(size_t class_length, size_t case_length) noexcept {
    return 16 + padded(class_length + case_length);
  }
  static constexpr size_t numbers_bytes(size_t count) noexcept { return 8 + count * 8; }
  static constexpr size_t table_bytes() noexcept { return 16; }  // without its keys and values

  explicit PayloadWriter(Payload& payload) noexcept : cursor_(payload.data()), end_(payload.data() + payload.size()) {
    word(kPayloadMagic);
  }

  void null() noexcept { tagged(PayloadTag::Null, 0); }
  void boolean(bool value) noexcept { tagged(value ? PayloadTag::True : PayloadTag::False, 0); }
  void integer(int64_t value) noexcept {
    if (int_is_short(value)) {
      tagged(PayloadTag::Int, static_cast<uint64_t>(value) & kPayloadMaxOperand);
    } else {
      tagged(PayloadTag::Int64, 0);
      word(static_cast<uint64_t>(value));
    }
  }
  void real(double value) noexcept {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    tagged(PayloadTag::Float, 0);
    word(bits);
  }
  void string(const char* data, size_t length) noexcept {
    tagged(PayloadTag::String, length);
    bytes(data, length, length);
  }
  void list(size_t count) noexcept { tagged(PayloadTag::List, count); }
  void map(size_t count) noexcept { tagged(PayloadTag::Map, count); }
  void enum_case(std::string_view class_name, std::string_view case_name) noexcept;
  // Where the caller is to put the words of `count` numbers: each int64_t, or each double.
  [[nodiscard]] uint8_t* ints(size_t count) noexcept { return numbers(PayloadTag::Ints, count); }
  [[nodiscard]] uint8_t* floats(size_t count) noexcept { return numbers(PayloadTag::Floats, count); }
  void table(size_t rows, size_t columns) noexcept {
    tagged(PayloadTag::Table, rows);
    word(columns);
  }

  bool complete() const noexcept { return cursor_ == end_; }

 private:
  static constexpr size_t padded(size_t length) noexcept { return (length + 7) & ~size_t{7}; }
  void word(uint64_t value) noexcept {
    assert(end_ - cursor_ >= 8);
    std::memcpy(cursor_, &value, sizeof value);
    cursor_ += sizeof value;
  }
  void tagged(PayloadTag tag, uint64_t operand) noexcept { word(operand << 8 | static_cast<uint8_t>(tag)); }
  uint8_t* numbers(PayloadTag tag, size_t count) noexcept {
    tagged(tag, count);
    assert(static_cast<size_t>(end_ - cursor_) / 8 >= count);
    return std::exchange(cursor_, cursor_ + count * 8);
  }
  void bytes(const char* data, size_t length, size_t total) noexcept {
    // The last word is zeroed first: padding never carries old memory to another process.
    if (const size_t size = padded(total); size != 0) {
      assert(static_cast<size_t>(end_ - cursor_) >= size);
      std::memset(cursor_ + size - 8, 0, 8);
      if (length != 0) std::memcpy(cursor_, data, length);
      cursor_ += size;
    }
  }

  uint8_t* cursor_;
  uint8_t* end_;
};

// A forward cursor over a payload's bytes, which must outlive it and every string it hands out.
class PayloadReader {
 public:
  struct Item {
    PayloadTag tag = PayloadTag::Null;
    int64_t integer = 0;         // Int, Int64 (reported as Int)
    double real = 0;             // Float
    const char* data = nullptr;  // String; Enum: the class name; Ints, Floats: the words, not aligned
    size_t length = 0;  // String: bytes; Enum: the class name's; List, Map, Ints, Floats: elements; Table: rows
    const char* case_name = nullptr;
    size_t case_length = 0;
    size_t columns = 0;  // Table

    // One of Ints, Floats.
    int64_t int_at(size_t index) const noexcept { return number_at<int64_t>(index); }
    double float_at(size_t index) const noexcept { return number_at<double>(index); }

   private:
    template <typename Number>
    Number number_at(size_t index) const noexcept {
      Number number;
      std::memcpy(&number, data + index * sizeof number, sizeof number);
      return number;
    }
  };

  PayloadReader(const uint8_t* data, size_t size) noexcept;
  explicit PayloadReader(const Payload& payload) noexcept : PayloadReader(payload.data(), payload.size()) {}

  // The next value's head. False after the one value that a payload is, or when the bytes are no payload;
  // error() tells which. A container's elements are the items that follow.
  bool next(Item& item) noexcept {
    uint64_t head;
    if (owed_ == 0) return cursor_ == end_ ? false : fail();  // fail: something follows the value
    if (!word(head)) return fail();
    --owed_;
    const uint64_t operand = head >> 8;
    item.tag = static_cast<PayloadTag>(head & 0xff);
    switch (item.tag) {
      case PayloadTag::Null:
      case PayloadTag::False:
      case PayloadTag::True:
        return operand == 0 || fail();
      case PayloadTag::Int:
        item.integer = static_cast<int64_t>(head) >> 8;
        return true;
      case PayloadTag::Int64: {
        uint64_t value;
        if (operand != 0 || !word(value) || PayloadWriter::int_is_short(static_cast<int64_t>(value))) return fail();
        item.tag = PayloadTag::Int;
        item.integer = static_cast<int64_t>(value);
        return true;
      }
      case PayloadTag::Float: {
        uint64_t bits;
        if (operand != 0 || !word(bits)) return fail();
        std::memcpy(&item.real, &bits, sizeof bits);
        return true;
      }
      case PayloadTag::String:
        item.length = operand;
        return take(item.data, operand);
      case PayloadTag::List:
      case PayloadTag::Map: {
        // Each item is a word at least. Those that the containers around this one still wait for count too: lists
        // within lists that each claim the whole rest would have the receiver reserve it once for each.
        const uint64_t left = words_left();
        const uint64_t items = item.tag == PayloadTag::Map ? operand * 2 : operand;  // of 56 bits: no overflow
        if (items > left || owed_ > left - items) return fail();
        owed_ += items;
        item.length = operand;
        return true;
      }
      case PayloadTag::Enum:
        return enum_names(item, operand);
      case PayloadTag::Ints:
      case PayloadTag::Floats:
        item.length = operand;
        return operand <= words_left() ? take(item.data, operand * 8) : fail();
      case PayloadTag::Table:
        return table(item, operand);
    }
    return fail();
  }

  bool error() const noexcept { return error_; }
  bool at_end() const noexcept { return owed_ == 0 && cursor_ == end_ && !error_; }

  // Walks a whole payload and says whether it is one that a writer may have written: one value, nothing
  // after it, keys of allowed kinds, padding of zeros, nesting within kPayloadMaxDepth.
  static bool valid(const uint8_t* data, size_t size) noexcept;

 private:
  bool fail() noexcept {
    error_ = true;
    cursor_ = end_;
    return false;
  }
  bool word(uint64_t& value) noexcept {
    if (end_ - cursor_ < 8) return false;
    std::memcpy(&value, cursor_, sizeof value);
    cursor_ += sizeof value;
    return true;
  }
  bool take(const char*& data, uint64_t length) noexcept {
    const uint64_t left = static_cast<uint64_t>(end_ - cursor_);
    if (length > left || ((length + 7) & ~uint64_t{7}) > left) return fail();
    data = reinterpret_cast<const char*>(cursor_);
    cursor_ += (length + 7) & ~uint64_t{7};
    return true;
  }
  uint64_t words_left() const noexcept { return static_cast<uint64_t>(end_ - cursor_) / 8; }
  bool enum_names(Item& item, uint64_t class_length) noexcept;
  bool table(Item& item, uint64_t rows) noexcept;

  const uint8_t* cursor_;
  const uint8_t* end_;
  uint64_t owed_ = 1;  // items that must still come
  bool error_ = false;
};

}  // namespace igor
