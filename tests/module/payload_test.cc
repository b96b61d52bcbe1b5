#include "module/payload.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace igor {
namespace {

// A value as the tests write it: a tree, keys and values in turn for a map; for a table the keys and then the values.
struct Value {
  PayloadTag tag = PayloadTag::Null;
  int64_t integer = 0;
  double real = 0;
  std::string text{};  // String; Enum: the class
  std::string case_name{};
  std::vector<Value> elements{};
  size_t columns = 0;  // of a table

  static Value null() { return {}; }
  static Value boolean(bool value) { return {.tag = value ? PayloadTag::True : PayloadTag::False}; }
  static Value of(int64_t value) { return {.tag = PayloadTag::Int, .integer = value}; }
  static Value of(double value) { return {.tag = PayloadTag::Float, .real = value}; }
  static Value of(std::string value) { return {.tag = PayloadTag::String, .text = std::move(value)}; }
  static Value list(std::vector<Value> values) { return {.tag = PayloadTag::List, .elements = std::move(values)}; }
  static Value map(std::vector<Value> pairs) { return {.tag = PayloadTag::Map, .elements = std::move(pairs)}; }
  // Their elements are written as numbers: all Int, all Float.
  static Value ints(std::vector<Value> values) { return {.tag = PayloadTag::Ints, .elements = std::move(values)}; }
  static Value floats(std::vector<Value> values) { return {.tag = PayloadTag::Floats, .elements = std::move(values)}; }
  static Value table(size_t columns, std::vector<Value> keys_and_values) {
    return {.tag = PayloadTag::Table, .elements = std::move(keys_and_values), .columns = columns};
  }
  size_t rows() const { return elements.size() / columns - 1; }
  static Value enum_case(std::string of_class, std::string name) {
    return {.tag = PayloadTag::Enum, .text = std::move(of_class), .case_name = std::move(name)};
  }
};

size_t size_of(const Value& value) {
  using Writer = PayloadWriter;
  switch (value.tag) {
    case PayloadTag::Int:
      return Writer::int_bytes(value.integer);
    case PayloadTag::Float:
      return Writer::float_bytes();
    case PayloadTag::String:
      return Writer::string_bytes(value.text.size());
    case PayloadTag::Enum:
      return Writer::enum_bytes(value.text.size(), value.case_name.size());
    case PayloadTag::Ints:
    case PayloadTag::Floats:
      return Writer::numbers_bytes(value.elements.size());
    default: {
      size_t size = value.tag == PayloadTag::Table ? Writer::table_bytes() : Writer::scalar_bytes();
      for (const Value& element : value.elements) size += size_of(element);
      return size;
    }
  }
}

void write(PayloadWriter& writer, const Value& value) {
  switch (value.tag) {
    case PayloadTag::Null:
      return writer.null();
    case PayloadTag::False:
      return writer.boolean(false);
    case PayloadTag::True:
      return writer.boolean(true);
    case PayloadTag::Int:
    case PayloadTag::Int64:
      return writer.integer(value.integer);
    case PayloadTag::Float:
      return writer.real(value.real);
    case PayloadTag::String:
      return writer.string(value.text.data(), value.text.size());
    case PayloadTag::Enum:
      return writer.enum_case(value.text, value.case_name);
    case PayloadTag::List:
      writer.list(value.elements.size());
      break;
    case PayloadTag::Map:
      writer.map(value.elements.size() / 2);
      break;
    case PayloadTag::Ints: {
      uint8_t* at = writer.ints(value.elements.size());
      for (const Value& element : value.elements) std::memcpy(std::exchange(at, at + 8), &element.integer, 8);
      return;
    }
    case PayloadTag::Floats: {
      uint8_t* at = writer.floats(value.elements.size());
      for (const Value& element : value.elements) std::memcpy(std::exchange(at, at + 8), &element.real, 8);
      return;
    }
    case PayloadTag::Table:
      writer.table(value.rows(), value.columns);
      break;
  }
  for (const Value& element : value.elements) write(writer, element);
}

Payload encode(const Value& value) {
  Payload payload = Payload::allocate(PayloadWriter::header_bytes() + size_of(value));
  PayloadWriter writer(payload);
  write(writer, value);
  EXPECT_TRUE(writer.complete()) << "the size and the writing disagree";
  return payload;
}

bool read(PayloadReader& reader, Value& value) {
  PayloadReader::Item item;
  if (!reader.next(item)) return false;
  value.tag = item.tag;
  switch (item.tag) {
    case PayloadTag::Int:
      value.integer = item.integer;
      break;
    case PayloadTag::Float:
      value.real = item.real;
      break;
    case PayloadTag::String:
      value.text.assign(item.data, item.length);
      break;
    case PayloadTag::Enum:
      value.text.assign(item.data, item.length);
      value.case_name.assign(item.case_name, item.case_length);
      break;
    case PayloadTag::Ints:
      for (size_t i = 0; i < item.length; ++i) value.elements.push_back(Value::of(item.int_at(i)));
      break;
    case PayloadTag::Floats:
      for (size_t i = 0; i < item.length; ++i) value.elements.push_back(Value::of(item.float_at(i)));
      break;
    case PayloadTag::List:
    case PayloadTag::Map:
    case PayloadTag::Table:
      value.columns = item.columns;
      value.elements.resize(item.tag == PayloadTag::Table ? item.columns * (item.length + 1)
                                                          : item.length * (item.tag == PayloadTag::Map ? 2 : 1));
      for (Value& element : value.elements) {
        if (!read(reader, element)) return false;
      }
      break;
    default:
      break;
  }
  return true;
}

bool same(const Value& a, const Value& b) {
  if (a.tag != b.tag || a.integer != b.integer || a.text != b.text || a.case_name != b.case_name ||
      a.elements.size() != b.elements.size() || a.columns != b.columns ||
      std::memcmp(&a.real, &b.real, sizeof a.real) != 0) {
    return false;
  }
  for (size_t i = 0; i < a.elements.size(); ++i) {
    if (!same(a.elements[i], b.elements[i])) return false;
  }
  return true;
}

bool valid(const Payload& payload) {
  return PayloadReader::valid(payload.data(), payload.size());
}

void expect_round_trip(const Value& value) {
  const Payload payload = encode(value);
  EXPECT_TRUE(valid(payload));
  PayloadReader reader(payload);
  Value back;
  ASSERT_TRUE(read(reader, back));
  EXPECT_TRUE(reader.at_end());
  EXPECT_TRUE(same(value, back));
  PayloadReader::Item item;
  EXPECT_FALSE(reader.next(item));
  EXPECT_FALSE(reader.error()) << "the end is no error";
}

// One of everything, nested.
Value everything() {
  return Value::map(
      {Value::of("null"),
       Value::null(),
       Value::of("bools"),
       Value::list({Value::boolean(true), Value::boolean(false)}),
       Value::of(int64_t{7}),
       Value::of(int64_t{-1}),
       Value::of(INT64_MIN),
       Value::of(INT64_MAX),
       Value::of(std::string()),
       Value::of(1.5),
       Value::of("text"),
       Value::of(std::string("bin\0ary \xff", 9)),
       Value::of("ints"),
       Value::ints({Value::of(INT64_MIN), Value::of(int64_t{1})}),
       Value::of("floats"),
       Value::floats({Value::of(0.5)}),
       Value::of("rows"),
       Value::table(2, {Value::of("id"), Value::of(int64_t{3}), Value::of(int64_t{1}), Value::list({Value::null()}),
                        Value::of(int64_t{2}), Value::table(1, {Value::of("k"), Value::of("v")})}),
       Value::of("suit"),
       Value::enum_case("App\\Suit", "Hearts"),
       Value::of("empty"),
       Value::list({}),
       Value::of("deep"),
       Value::map({Value::of("k"), Value::list({Value::map({}), Value::list({Value::of(std::string(100, 'x'))})})})});
}

// Bytes in an allocation of exactly their size, so that a read past the end shows under ASan.
bool valid_bytes(const std::string& bytes) {
  const Payload copy = Payload::copy_of(bytes);
  return valid(copy);
}

std::string bytes_of(const Payload& payload) {
  return {reinterpret_cast<const char*>(payload.data()), payload.size()};
}

std::string words(std::initializer_list<uint64_t> list) {
  std::string bytes;
  for (const uint64_t word : list) bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  return bytes;
}

uint64_t head(PayloadTag tag, uint64_t operand) {
  return operand << 8 | static_cast<uint8_t>(tag);
}

TEST(Payload, RoundTripOfEveryKind) {
  expect_round_trip(Value::null());
  expect_round_trip(Value::boolean(true));
  expect_round_trip(Value::boolean(false));
  expect_round_trip(Value::list({}));
  expect_round_trip(Value::map({}));
  expect_round_trip(Value::enum_case("S", "A"));
  expect_round_trip(Value::ints({Value::of(INT64_MIN), Value::of(int64_t{0}), Value::of(INT64_MAX)}));
  expect_round_trip(Value::floats({Value::of(-0.0), Value::of(std::numeric_limits<double>::quiet_NaN())}));
  expect_round_trip(Value::table(1, {Value::of("k"), Value::null()}));
  expect_round_trip(everything());
}

TEST(Payload, RoundTripOfIntegersAroundTheShortForm) {
  const int64_t edge = int64_t{1} << 55;
  for (const int64_t value : {int64_t{0}, int64_t{1}, int64_t{-1}, edge - 1, edge, edge + 1, -edge, -edge - 1,
                              -edge + 1, INT64_MAX, INT64_MIN, INT64_MIN + 1}) {
    expect_round_trip(Value::of(value));
    EXPECT_EQ(PayloadWriter::int_bytes(value), value >= -edge && value < edge ? 8u : 16u);
  }
}

TEST(Payload, RoundTripOfFloatsKeepsTheBits) {
  using Limits = std::numeric_limits<double>;
  for (const double value : {0.0, -0.0, 1.0 / 3, Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(),
                             Limits::denorm_min(), Limits::max(), Limits::lowest()}) {
    expect_round_trip(Value::of(value));
  }
}

TEST(Payload, RoundTripOfStringsOfEveryPadding) {
  for (size_t length = 0; length <= 33; ++length) {
    std::string text;
    for (size_t i = 0; i < length; ++i) text += static_cast<char>(i * 37);
    expect_round_trip(Value::of(text));
    expect_round_trip(Value::list({Value::of(text), Value::of(int64_t{1})}));
    if (length > 0) expect_round_trip(Value::enum_case(std::string(length, 'C'), std::string(34 - length, 'c')));
  }
  expect_round_trip(Value::of(std::string(16u << 20, 'm')));
}

TEST(Payload, PaddingCarriesNoOldMemory) {
  Payload payload = Payload::allocate(PayloadWriter::header_bytes() + PayloadWriter::string_bytes(3));
  std::memset(payload.data(), 0xaa, payload.size());
  PayloadWriter(payload).string("abc", 3);
  EXPECT_EQ(bytes_of(payload).substr(16), std::string("abc\0\0\0\0\0", 8));
  Payload names = Payload::allocate(PayloadWriter::header_bytes() + PayloadWriter::enum_bytes(2, 3));
  std::memset(names.data(), 0xaa, names.size());
  PayloadWriter(names).enum_case("AB", "abc");
  EXPECT_EQ(bytes_of(names).substr(24), std::string("ABabc\0\0\0", 8));
}

TEST(Payload, RoundTripOfRandomTrees) {
  std::mt19937_64 random(20'240'501);
  const auto tree = [&](auto&& self, int depth) -> Value {
    const auto text = [&] {
      std::string bytes(random() % 20, '\0');
      for (char& byte : bytes) byte = static_cast<char>(random());
      return bytes;
    };
    switch (random() % (depth > 6 ? 6 : 8)) {
      case 0:
        return Value::null();
      case 1:
        return Value::boolean(random() % 2);
      case 2:
        return Value::of(static_cast<int64_t>(random()) >> (random() % 64));
      case 3:
        return Value::of(static_cast<double>(random()) / 7);
      case 4:
        return Value::of(text());
      case 5:
        return Value::enum_case("C" + text(), "c" + text());
      case 6: {
        Value list = Value::list({});
        for (size_t i = random() % 5; i > 0; --i) list.elements.push_back(self(self, depth + 1));
        return list;
      }
      default: {
        Value map = Value::map({});
        for (size_t i = random() % 5; i > 0; --i) {
          map.elements.push_back(random() % 2 ? Value::of(text()) : Value::of(static_cast<int64_t>(random())));
          map.elements.push_back(self(self, depth + 1));
        }
        return map;
      }
    }
  };
  for (int i = 0; i < 300; ++i) expect_round_trip(tree(tree, 0));
}

TEST(Payload, EveryTruncationIsRefused) {
  const std::string whole = bytes_of(encode(everything()));
  ASSERT_TRUE(valid_bytes(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(valid_bytes(whole.substr(0, size))) << "cut to " << size << " of " << whole.size();
  }
}

TEST(Payload, TrailingBytesAreRefused) {
  const std::string whole = bytes_of(encode(everything()));
  for (size_t more = 1; more <= 24; ++more) EXPECT_FALSE(valid_bytes(whole + std::string(more, '\0'))) << more;
}

TEST(Payload, LessThanAWordLeftOverIsAnErrorNotTheEnd) {
  const Payload payload = Payload::copy_of(bytes_of(encode(Value::null())) + "abc");
  PayloadReader reader(payload);
  PayloadReader::Item item;
  EXPECT_TRUE(reader.next(item));
  EXPECT_FALSE(reader.next(item));
  EXPECT_TRUE(reader.error());
  EXPECT_FALSE(reader.at_end());
}

TEST(Payload, BitFlipsNeverReadOutOfBounds) {
  // Most flips of a length or a tag break it, flips of a number or a byte of text do not; under ASan none
  // may read outside of the buffer, and what valid() accepts the reader must be able to walk.
  const std::string whole = bytes_of(encode(everything()));
  size_t refused = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const Payload payload = Payload::copy_of(flipped);
    if (valid(payload)) {
      PayloadReader reader(payload);
      Value back;
      EXPECT_TRUE(read(reader, back)) << "bit " << bit;
      EXPECT_TRUE(reader.at_end()) << "bit " << bit;
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, whole.size());
}

TEST(Payload, RandomBytesNeverReadOutOfBounds) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = words({kPayloadMagic});
    for (size_t n = random() % 12; n > 0; --n) {
      // Mostly plausible heads: small operands and existing tags get further than noise.
      bytes += words({random() % 4 ? head(static_cast<PayloadTag>(random() % 14), random() % 6) : random()});
    }
    bytes.resize(bytes.size() - random() % 3);
    const Payload payload = Payload::copy_of(bytes);
    if (!valid(payload)) continue;
    PayloadReader reader(payload);
    Value back;
    EXPECT_TRUE(read(reader, back) && reader.at_end());
  }
}

TEST(Payload, CountsThatCannotBeAreRefused) {
  const uint64_t most = kPayloadMaxOperand;
  for (const uint64_t count : {uint64_t{2}, uint64_t{1} << 32, most / 8, most / 16 + 1, most}) {
    for (const PayloadTag tag : {PayloadTag::List, PayloadTag::Map, PayloadTag::Enum}) {
      EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(tag, count), head(PayloadTag::Null, 0)})))
          << static_cast<int>(tag) << " of " << count;
    }
    if (count <= 8) continue;  // which one word has room for
    EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::String, count), 0}))) << count;
    EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Enum, 1), count, 0x4141}))) << count;
  }
  for (const uint64_t count : {uint64_t{2}, uint64_t{1} << 32, most / 8, most}) {
    EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Ints, count), 0}))) << count;
    EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Floats, count), 0}))) << count;
    EXPECT_FALSE(valid_bytes(
        words({kPayloadMagic, head(PayloadTag::Table, count), 1, head(PayloadTag::Int, 1), head(PayloadTag::Null, 0)})))
        << count;
    EXPECT_FALSE(valid_bytes(
        words({kPayloadMagic, head(PayloadTag::Table, 1), count, head(PayloadTag::Int, 1), head(PayloadTag::Null, 0)})))
        << count;
  }
  for (const uint64_t columns : {uint64_t{1} << 63, UINT64_MAX, uint64_t{0}}) {
    EXPECT_FALSE(valid_bytes(words(
        {kPayloadMagic, head(PayloadTag::Table, 1), columns, head(PayloadTag::Int, 1), head(PayloadTag::Null, 0)})))
        << columns;
  }
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Table, 0), 1, head(PayloadTag::Int, 1)})));
  // A table within a table may not claim what the outer one still waits for.
  EXPECT_FALSE(
      valid_bytes(words({kPayloadMagic, head(PayloadTag::Table, 2), 1, head(PayloadTag::Int, 1),
                         head(PayloadTag::Table, 1), 1, head(PayloadTag::Int, 1), head(PayloadTag::Null, 0)})));
  // Lengths that wrap when they are padded or summed.
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Enum, most), UINT64_MAX, 0x4141})));
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Enum, 1), UINT64_MAX, 0x4141})));
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Enum, 2), UINT64_MAX, 0x4141}))) << "sum 1";
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Enum, 0), 2, 0x4141}))) << "a class without a name";
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Enum, 2), 0, 0x4141}))) << "a case without a name";
  EXPECT_TRUE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Enum, 1), 1, 0x4141})));
}

TEST(Payload, WrongHeadersAndTagsAreRefused) {
  EXPECT_FALSE(valid_bytes(""));
  EXPECT_FALSE(PayloadReader::valid(nullptr, 0));
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic})));
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic + 1, head(PayloadTag::Null, 0)})));
  EXPECT_FALSE(valid_bytes(words({0, head(PayloadTag::Null, 0)})));
  for (int tag = static_cast<int>(PayloadTag::Table) + 1; tag < 256; ++tag) {
    EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(static_cast<PayloadTag>(tag), 0)}))) << tag;
  }
}

TEST(Payload, KeysAreIntegersAndStringsOnly) {
  const Value good = Value::map({Value::of("k"), Value::null(), Value::of(INT64_MIN), Value::null()});
  EXPECT_TRUE(valid(encode(good)));
  for (const Value& key : {Value::null(), Value::boolean(true), Value::of(1.0), Value::list({}), Value::map({}),
                           Value::enum_case("C", "c")}) {
    EXPECT_FALSE(valid(encode(Value::map({key, Value::null()})))) << static_cast<int>(key.tag);
    EXPECT_FALSE(valid(encode(Value::table(1, {key, Value::null()})))) << static_cast<int>(key.tag);
  }
  EXPECT_FALSE(valid_bytes(words({kPayloadMagic, head(PayloadTag::Map, 1), head(PayloadTag::Int, 1)}))) << "no value";
}

TEST(Payload, NestingOf512IsTheDeepest) {
  const auto nested = [](int depth, bool maps) {
    std::string bytes = words({kPayloadMagic});
    for (int i = 1; i < depth; ++i) {
      bytes += maps ? words({head(PayloadTag::Map, 1), head(PayloadTag::Int, 1)}) : words({head(PayloadTag::List, 1)});
    }
    return bytes + words({head(PayloadTag::List, 0)});
  };
  for (const bool maps : {false, true}) {
    EXPECT_TRUE(valid_bytes(nested(kPayloadMaxDepth, maps)));
    EXPECT_FALSE(valid_bytes(nested(kPayloadMaxDepth + 1, maps)));
    EXPECT_FALSE(valid_bytes(nested(20 * kPayloadMaxDepth, maps)));
  }
  // A table is two levels, a list of numbers is one.
  const auto within = [&](int lists, const std::string& innermost) {
    std::string bytes = words({kPayloadMagic});
    for (int i = 0; i < lists; ++i) bytes += words({head(PayloadTag::List, 1)});
    return valid_bytes(bytes + innermost);
  };
  const std::string table = words({head(PayloadTag::Table, 1), 1, head(PayloadTag::Int, 1), head(PayloadTag::Null, 0)});
  EXPECT_TRUE(within(kPayloadMaxDepth - 2, table));
  EXPECT_FALSE(within(kPayloadMaxDepth - 1, table));
  EXPECT_TRUE(within(kPayloadMaxDepth - 1, words({head(PayloadTag::Ints, 1), 7})));
  EXPECT_FALSE(within(kPayloadMaxDepth, words({head(PayloadTag::Ints, 1), 7})));
  // Many side by side are no nesting.
  EXPECT_TRUE(valid(encode(Value::list(std::vector<Value>(5000, Value::list({Value::list({})}))))));
}

TEST(Payload, OwnsItsBytes) {
  Payload empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.size(), 0u);
  Payload none = Payload::allocate(0);
  EXPECT_FALSE(none.empty()) << "of size 0, and yet there";
  Payload one = Payload::copy_of("12345678");
  Payload other = std::move(one);
  EXPECT_TRUE(one.empty());
  EXPECT_EQ(bytes_of(other), "12345678");
  other = Payload::copy_of("abc");
  EXPECT_EQ(bytes_of(other), "abc");
  other.reset();
  EXPECT_TRUE(other.empty());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which end the process instead
  EXPECT_TRUE(Payload::allocate(SIZE_MAX / 2).empty()) << "no memory, no exception";
#endif
}

TEST(PayloadDeathTest, WritingPastTheEndIsCaught) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  Payload small = Payload::allocate(PayloadWriter::header_bytes() + PayloadWriter::scalar_bytes());
  EXPECT_DEATH(
      {
        PayloadWriter writer(small);
        writer.list(1);
        writer.string("too much", 8);
      },
      "");
}

}  // namespace
}  // namespace igor
