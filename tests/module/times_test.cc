// How often something happened, in words.
#include "module/times.h"

#include <gtest/gtest.h>

#include <climits>

namespace igor {
namespace {

TEST(Times, Words) {
  EXPECT_STREQ(Times(0).text(), "0 times");
  EXPECT_STREQ(Times(1).text(), "once");
  EXPECT_STREQ(Times(2).text(), "twice");
  EXPECT_STREQ(Times(3).text(), "3 times");
  EXPECT_STREQ(Times(1, Times::InARow).text(), "once");
  EXPECT_STREQ(Times(2, Times::InARow).text(), "twice in a row");
  EXPECT_STREQ(Times(6, Times::InARow).text(), "6 times in a row");
  EXPECT_STREQ(Times(INT_MIN, Times::InARow).text(), "-2147483648 times in a row") << "the longest fits";
}

}  // namespace
}  // namespace igor
