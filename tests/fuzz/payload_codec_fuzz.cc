// decode_payload() and encode_payload() on hostile bytes, with real zvals. What must hold:
//   - decoding either makes a value and throws nothing, or throws and makes none;
//   - what it makes can be encoded, and that is a valid payload;
//   - a payload that encode_payload() wrote decodes to a value that is encoded the same again.
#include <string>

#include "sapi/payload_codec.h"
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

// Of one whole and small call each; no C++ object with a destructor is alive around a call that may bail out, and
// none does here: there is no memory limit.
void check(const std::string& bytes) {
  const Payload payload = Payload::copy_of(bytes);
  zval value;
  if (!decoded(payload, &value)) return;
  const Payload first = encoded(&value);
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
