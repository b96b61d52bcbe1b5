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
    uint64_t left;
    bool map;
    bool key_next;
  };
  Level levels[kPayloadMaxDepth];
  int depth = 0;
  PayloadReader reader(data, size);
  do {
    Item item;
    if (!reader.next(item)) return false;
    if (item.tag == PayloadTag::String && !padded_with_zeros(item.data, item.length)) return false;
    if (item.tag == PayloadTag::Enum && !padded_with_zeros(item.data, item.length + item.case_length)) return false;
    if (depth > 0 && levels[depth - 1].key_next) {
      if (item.tag != PayloadTag::Int && item.tag != PayloadTag::String) return false;
      levels[depth - 1].key_next = false;
      continue;
    }
    if (depth > 0) {
      --levels[depth - 1].left;
      levels[depth - 1].key_next = levels[depth - 1].map;
    }
    if (item.tag == PayloadTag::List || item.tag == PayloadTag::Map) {
      if (depth == kPayloadMaxDepth) return false;
      const bool map = item.tag == PayloadTag::Map;
      levels[depth++] = {item.length, map, map};
    }
    while (depth > 0 && levels[depth - 1].left == 0) --depth;
  } while (depth > 0);
  return reader.at_end();
}

}  // namespace igor
