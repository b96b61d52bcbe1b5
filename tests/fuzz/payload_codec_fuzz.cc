// decode_payload() and encode_payload() on hostile bytes, with real zvals. What must hold:
//   - decoding either makes a value and throws nothing, or throws and makes none;
//   - what it makes can be encoded, and that is a valid payload;
//   - a payload that encode_payload() wrote decodes to a value that is encoded the same again;
//   - an image of it is that value, and there is one unless it has an enum case or a key twice.
#include <string>

#include "sapi/payload_codec.h"
#include "sapi/snapshot_image.h"
#include "tests/fuzz/payload_bytes.h"
#include "tests/fuzz/php_fuzz.h"

namespace {

using igor::Payload;
using igor::PayloadReader;

// False when the bytes were refused.
bool decoded(const Payload& payload, zval* value) {
  const bool whole = igor::sapi::decode_payload(payload, value);
  FUZZ_CHECK(whole == (EG(exception) == nullptr));
  FUZZ_CHECK(whole == (Z_TYPE_P(value) != IS_UNDEF));
  if (!whole) zend_clear_exception();
  return whole;
}

Payload encoded(const zval* value) {
  Payload payload;
  FUZZ_CHECK(igor::sapi::encode_payload(value, "$payload", SIZE_MAX, payload));
  FUZZ_CHECK(PayloadReader::valid(payload.data(), payload.size()));
  return payload;
}

bool same(const Payload& one, const Payload& other) {
  return one.size() == other.size() && memcmp(one.data(), other.data(), one.size()) == 0;
}

// Whether an image can be made. It is the value then, and whoever changes what it is given changes a copy.
bool imaged(const Payload& payload, zval* value) {
  const igor::Snapshot snapshot(Payload::copy_of({reinterpret_cast<const char*>(payload.data()), payload.size()}));
  const igor::sapi::SnapshotImage* const image = igor::sapi::SnapshotImage::of(snapshot);
  FUZZ_CHECK(image == igor::sapi::SnapshotImage::of(snapshot));
  if (image == nullptr) return false;
  FUZZ_CHECK(value != nullptr);
  const Payload bytes = encoded(value);  // and not ===, to which NAN is not NAN
  FUZZ_CHECK(same(encoded(&image->value()), bytes));
  zval copy;
  ZVAL_COPY(&copy, &image->value());
  SEPARATE_ARRAY(&copy);
  add_next_index_null(&copy);  // refused where the last key is the largest
  zval_ptr_dtor(&copy);
  FUZZ_CHECK(same(encoded(&image->value()), bytes));
  return true;
}

bool has_enum_case(const zval* value) {
  if (Z_TYPE_P(value) == IS_OBJECT) return true;
  if (Z_TYPE_P(value) != IS_ARRAY) return false;
  zval* element;
  ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(value), element) {
    if (has_enum_case(element)) return true;
  }
  ZEND_HASH_FOREACH_END();
  return false;
}

// Of one whole and small call each; no C++ object with a destructor is alive around a call that may bail out, and
// none does here: there is no memory limit.
void check(const std::string& bytes) {
  const Payload payload = Payload::copy_of(bytes);
  zval value;
  if (!decoded(payload, &value)) {
    FUZZ_CHECK(!imaged(payload, nullptr));
    return;
  }
  imaged(payload, &value);
  const Payload first = encoded(&value);
  FUZZ_CHECK(imaged(first, &value) == (Z_TYPE(value) == IS_ARRAY && !has_enum_case(&value)));
  zval_ptr_dtor(&value);
  FUZZ_CHECK(decoded(first, &value));
  FUZZ_CHECK(same(encoded(&value), first));
  Payload consumed = Payload::copy_of({reinterpret_cast<const char*>(first.data()), first.size()});
  zval again;
  FUZZ_CHECK(igor::sapi::consume_payload(consumed, &again));
  FUZZ_CHECK(consumed.empty());
  FUZZ_CHECK(same(encoded(&again), first));
  zval_ptr_dtor(&again);
  zval_ptr_dtor(&value);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  igor::fuzz::PhpForFuzz::instance();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static int runs = 0;
  igor::fuzz::Input input(data, size);
  bool sound;
  check(igor::fuzz::payload_from(input, sound));
  if (++runs % 512 == 0) igor::fuzz::PhpForFuzz::instance().next_request();
  return 0;
}
