#include "module/packed_pairs.h"

#include <gtest/gtest.h>

#include <vector>

namespace igor {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs read_all(std::string_view buffer) {
  Pairs out;
  PackedPairs pairs(buffer);
  std::string_view key, value;
  while (pairs.next(key, value)) out.emplace_back(key, value);
  return out;
}

TEST(PackedPairs, RoundTrip) {
  const Pairs pairs = {
      {"Host", "example.org"}, {"", ""}, {std::string("a\0b", 3), "\xff"}, {"Host", "again"}, {"k", ""}};
  std::string buffer;
  for (const auto& [key, value] : pairs) append_packed_pair(buffer, key, value);
  EXPECT_TRUE(PackedPairs::well_formed(buffer));
  EXPECT_EQ(read_all(buffer), pairs);
  EXPECT_TRUE(PackedPairs::well_formed(""));
  EXPECT_TRUE(read_all("").empty());
}

TEST(PackedPairs, EveryTruncationEndsBeforeThePairThatIsCut) {
  std::string buffer;
  append_packed_pair(buffer, "first", "1");
  const size_t whole = buffer.size();
  append_packed_pair(buffer, "second", "2");
  for (size_t size = 1; size < buffer.size(); ++size) {
    if (size == whole) continue;
    const std::string cut(buffer, 0, size);
    EXPECT_FALSE(PackedPairs::well_formed(cut)) << size;
    EXPECT_EQ(read_all(cut).size(), size > whole ? 1u : 0u) << size;
  }
}

TEST(PackedPairs, LengthsBeyondTheBufferAreNoReadBeyondIt) {
  for (const uint32_t length : {5u, 0x7fffffffu, 0xffffffffu}) {
    std::string buffer(reinterpret_cast<const char*>(&length), sizeof length);
    buffer += "abcd";
    EXPECT_FALSE(PackedPairs::well_formed(buffer));
    EXPECT_TRUE(read_all(buffer).empty());
  }
}

}  // namespace
}  // namespace igor
