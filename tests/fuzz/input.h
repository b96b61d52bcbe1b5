// What the fuzz targets share: bytes as a supply of decisions, and a check that ends the process.
//
// A target is a function LLVMFuzzerTestOneInput. Built with clang (CMake preset "fuzz") libFuzzer drives it; in every
// other build replay_main.cc does: the committed corpus, then so many mutations of it from a fixed seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// What must hold. Also where asserts are compiled out.
#define FUZZ_CHECK(condition)                                                             \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

namespace igor::fuzz {

// Hands out an input from its start. Everything is 0 or empty once it is used up, so loops end on empty().
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  uint64_t number(int bytes) {
    uint64_t value = 0;
    for (; bytes > 0; --bytes) value = value << 8 | byte();
    return value;
  }
  uint32_t below(uint32_t bound) { return byte() % bound; }
  bool one_in(uint32_t n) { return below(n) == 0 && !empty(); }
  std::string_view text(size_t length) {
    const std::string_view text = rest_.substr(0, length);
    rest_.remove_prefix(text.size());
    return text;
  }
  std::string_view rest() { return text(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace igor::fuzz
