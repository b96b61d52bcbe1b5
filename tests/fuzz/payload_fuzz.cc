// PayloadReader on hostile bytes. What must hold:
//   - it never reads outside of the buffer (AddressSanitizer looks), wherever that lies in memory;
//   - it never promises more items than the buffer has words, at any moment;
//   - valid() says yes to every payload that the form allows, and what it says yes to is, to the byte, what a writer
//     writes for the same items.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "module/payload.h"
#include "tests/fuzz/payload_bytes.h"

namespace {

using igor::Payload;
using igor::PayloadReader;
using igor::PayloadTag;
using igor::PayloadWriter;
using Item = PayloadReader::Item;

volatile unsigned char sink;

void touch(const char* data, size_t size) {
  for (size_t i = 0; i < size; ++i) sink = sink + static_cast<unsigned char>(data[i]);
}

// What a receiver that trusts nobody does; the items, for those that want them.
bool walk(const uint8_t* data, size_t size, std::vector<Item>* items) {
  PayloadReader reader(data, size);
  Item item;
  size_t count = 0, promised = 1;
  while (reader.next(item)) {
    ++count;
    if (item.tag == PayloadTag::List) promised += item.length;
    if (item.tag == PayloadTag::Map) promised += 2 * item.length;
    if (item.tag == PayloadTag::Table) promised += item.columns * (item.length + 1);
    FUZZ_CHECK(promised <= size / 8);
    if (item.tag == PayloadTag::String) touch(item.data, item.length);
    if (item.tag == PayloadTag::Enum) {
      touch(item.data, item.length);
      touch(item.case_name, item.case_length);
    }
    if (item.tag == PayloadTag::Ints || item.tag == PayloadTag::Floats) touch(item.data, item.length * 8);
    if (items != nullptr) items->push_back(item);
  }
  FUZZ_CHECK(reader.error() != reader.at_end());
  FUZZ_CHECK(!reader.at_end() || count == promised);
  FUZZ_CHECK(!reader.next(item));  // the end is the end
  return reader.at_end();
}

size_t size_of(const Item& item) {
  switch (item.tag) {
    case PayloadTag::Int:
      return PayloadWriter::int_bytes(item.integer);
    case PayloadTag::Float:
      return PayloadWriter::float_bytes();
    case PayloadTag::String:
      return PayloadWriter::string_bytes(item.length);
    case PayloadTag::Enum:
      return PayloadWriter::enum_bytes(item.length, item.case_length);
    case PayloadTag::Ints:
    case PayloadTag::Floats:
      return PayloadWriter::numbers_bytes(item.length);
    case PayloadTag::Table:
      return PayloadWriter::table_bytes();
    default:
      return PayloadWriter::scalar_bytes();
  }
}

void write(PayloadWriter& writer, const Item& item) {
  switch (item.tag) {
    case PayloadTag::Null:
      return writer.null();
    case PayloadTag::False:
      return writer.boolean(false);
    case PayloadTag::True:
      return writer.boolean(true);
    case PayloadTag::Int:
      return writer.integer(item.integer);
    case PayloadTag::Float:
      return writer.real(item.real);
    case PayloadTag::String:
      return writer.string(item.data, item.length);
    case PayloadTag::List:
      return writer.list(item.length);
    case PayloadTag::Map:
      return writer.map(item.length);
    case PayloadTag::Enum:
      return writer.enum_case({item.data, item.length}, {item.case_name, item.case_length});
    case PayloadTag::Ints:
      std::copy_n(item.data, item.length * 8, writer.ints(item.length));
      return;
    case PayloadTag::Floats:
      std::copy_n(item.data, item.length * 8, writer.floats(item.length));
      return;
    case PayloadTag::Table:
      return writer.table(item.length, item.columns);
    case PayloadTag::Int64:
      break;
  }
  FUZZ_CHECK(!"a reader hands out no Int64");
}

void check(const std::string& bytes, bool sound) {
  // Blocks of exactly the size, so that the sanitizer sees a byte too many; and once at an odd address.
  const auto block = std::make_unique<uint8_t[]>(bytes.size() + 1);
  std::copy(bytes.begin(), bytes.end(), block.get() + 1);
  const Payload payload = Payload::copy_of(bytes);
  std::vector<Item> items;
  const bool whole = walk(payload.data(), payload.size(), &items);
  const bool valid = PayloadReader::valid(payload.data(), payload.size());
  FUZZ_CHECK(walk(block.get() + 1, bytes.size(), nullptr) == whole);
  FUZZ_CHECK(PayloadReader::valid(block.get() + 1, bytes.size()) == valid);
  FUZZ_CHECK(!sound || valid);
  if (!valid) return;
  FUZZ_CHECK(whole);
  size_t size = PayloadWriter::header_bytes();
  for (const Item& item : items) size += size_of(item);
  FUZZ_CHECK(size == bytes.size());
  Payload again = Payload::allocate(size);
  PayloadWriter writer(again);
  for (const Item& item : items) write(writer, item);
  FUZZ_CHECK(writer.complete());
  FUZZ_CHECK(std::equal(bytes.begin(), bytes.end(), reinterpret_cast<const char*>(again.data())));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  igor::fuzz::Input input(data, size);
  bool sound;
  const std::string bytes = igor::fuzz::payload_from(input, sound);
  check(bytes, sound);
  return 0;
}
