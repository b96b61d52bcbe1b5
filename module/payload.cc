#include "module/payload.h"

#include <cstdlib>

namespace igor {

Payload::~Payload() {
  std::free(data_);
}

Payload Payload::allocate(size_t size) noexcept {
  Payload payload;
  payload.data_ = static_cast<uint8_t*>(std::malloc(size == 0 ? 1 : size));
  if (payload.data_ != nullptr) payload.size_ = size;
  return payload;
}

Payload Payload::copy_of(std::string_view bytes) noexcept {
  Payload payload = allocate(bytes.size());
  if (!payload.empty() && !bytes.empty()) std::memcpy(payload.data_, bytes.data(), bytes.size());
  return payload;
}

void PayloadWriter::enum_case(std::string_view class_name, std::string_view case_name) noexcept {
  tagged(PayloadTag::Enum, class_name.size());
  word(case_name.size());
  uint8_t* const names = cursor_;
  bytes(class_name.data(), class_name.size(), class_name.size() + case_name.size());
  std::memcpy(names + class_name.size(), case_name.data(), case_name.size());
}

PayloadReader::PayloadReader(const uint8_t* data, size_t size) noexcept : cursor_(data), end_(data + size) {
  uint64_t magic = 0;
  if (!word(magic) || magic != kPayloadMagic) fail();
}

bool PayloadReader::enum_names(Item& item, uint64_t class_length) noexcept {
  uint64_t case_length;
  if (!word(case_length)) return fail();
  const uint64_t left = static_cast<uint64_t>(end_ - cursor_);
  if (class_length == 0 || case_length == 0 || case_length > left || class_length > left) return fail();
  const char* names;
  if (!take(names, class_length + case_length)) return false;
  item.data = names;
  item.length = class_length;
  item.case_name = names + class_length;
  item.case_length = case_length;
  return true;
}

bool PayloadReader::table(Item& item, uint64_t rows) noexcept {
  uint64_t columns;
  if (!word(columns)) return fail();
  const uint64_t left = words_left();
  // Keys and values are a word each at least, and as many again must be left for what waits around this one.
  if (rows == 0 || columns == 0 || rows > left || columns > left / (rows + 1)) return fail();
  const uint64_t items = columns * (rows + 1);
  if (owed_ > left - items) return fail();
  owed_ += items;
  item.length = rows;
  item.columns = columns;
  return true;
}

namespace {

// `used` bytes of a run that goes on to the next whole word.
bool padded_with_zeros(const char* data, size_t used) noexcept {
  for (; used % 8 != 0; ++used) {
    if (data[used] != 0) return false;
  }
  return true;
}

}  // namespace

bool PayloadReader::valid(const uint8_t* data, size_t size) noexcept {
  struct Level {
    uint64_t values;  // that must still come
    uint64_t keys;    // that come before the next of them
    bool map;         // a key before each
  };
  Level levels[kPayloadMaxDepth];
  int depth = 0;
  PayloadReader reader(data, size);
  do {
    Item item;
    if (!reader.next(item)) return false;
    if (item.tag == PayloadTag::String && !padded_with_zeros(item.data, item.length)) return false;
    if (item.tag == PayloadTag::Enum && !padded_with_zeros(item.data, item.length + item.case_length)) return false;
    if (depth > 0 && levels[depth - 1].keys > 0) {
      if (item.tag != PayloadTag::Int && item.tag != PayloadTag::String) return false;
      --levels[depth - 1].keys;
      continue;
    }
    if (depth > 0) {
      --levels[depth - 1].values;
      levels[depth - 1].keys = levels[depth - 1].map && levels[depth - 1].values > 0;
    }
    switch (item.tag) {
      case PayloadTag::List:
      case PayloadTag::Map: {
        if (depth == kPayloadMaxDepth) return false;
        const bool map = item.tag == PayloadTag::Map;
        levels[depth++] = {item.length, map && item.length > 0, map};
        break;
      }
      case PayloadTag::Ints:
      case PayloadTag::Floats:
        if (depth == kPayloadMaxDepth) return false;
        break;
      case PayloadTag::Table:  // a list, and the row in it
        if (depth + 2 > kPayloadMaxDepth) return false;
        levels[depth++] = {};
        levels[depth++] = {item.length * item.columns, item.columns, false};
        break;
      default:
        break;
    }
    while (depth > 0 && levels[depth - 1].values == 0) --depth;
  } while (depth > 0);
  return reader.at_end();
}

}  // namespace igor
