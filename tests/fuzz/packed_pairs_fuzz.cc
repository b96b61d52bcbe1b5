// PackedPairs, the lists of strings that cross the C ABI, on hostile bytes: nothing outside of the buffer is read, what
// is well-formed is the same bytes when it is packed again, and what is not ends early.
#include <string>

#include "module/packed_pairs.h"
#include "module/payload.h"
#include "tests/fuzz/input.h"

using igor::PackedPairs;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A block of its own, of exactly the size.
  const igor::Payload copy = igor::Payload::copy_of({reinterpret_cast<const char*>(data), size});
  const std::string_view buffer(reinterpret_cast<const char*>(copy.data()), copy.size());
  std::string again;
  PackedPairs pairs(buffer);
  for (std::string_view key, value; pairs.next(key, value);) igor::append_packed_pair(again, key, value);
  std::string_view key, value;
  FUZZ_CHECK(!pairs.next(key, value));
  FUZZ_CHECK(buffer.starts_with(again));
  FUZZ_CHECK((again.size() == buffer.size()) == PackedPairs::well_formed(buffer));
  return 0;
}
