#include "sapi/crash_line.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace igor::sapi {
namespace {

std::string after_time(CrashLine& line) {
  const std::string text(line.finish());
  const std::regex begin(R"(^\{"level":"fatal","ts":\d{10}\.\d{6})");
  EXPECT_TRUE(std::regex_search(text, begin)) << text;
  return std::regex_replace(text, begin, "");
}

TEST(CrashLine, LooksLikeCaddys) {
  CrashLine line;
  line.begin("fatal", "igor.engine", "it crashed");
  line.member("worker", "thumbnails");
  line.member("task", uint64_t{0});
  line.member("line", uint64_t{18446744073709551615u});
  line.member_address("address", 0);
  line.member_address("library", 0xdeadbeef12, "/usr/lib/x.so");
  EXPECT_EQ(
      after_time(line),
      R"(,"logger":"igor.engine","msg":"it crashed","worker":"thumbnails","task":"0","line":"18446744073709551615",)"
      R"("address":"0x0","library":"/usr/lib/x.so+0xdeadbeef12"})"
      "\n");
}

TEST(CrashLine, IsJsonWhateverTheNames) {
  CrashLine line;
  line.begin("fatal", "l", "m");
  line.member("url", std::string_view("/a\"b\\c\n\0\xff\xc3\xa9", 11));
  EXPECT_EQ(after_time(line),
            ",\"logger\":\"l\",\"msg\":\"m\",\"url\":\"/a\\\"b\\\\c\\u000a\\u0000\xef\xbf\xbd\xc3\xa9\"}\n");
}

TEST(CrashLine, CutsWhatIsTooLong) {
  CrashLine line;
  line.begin("fatal", "l", "m");
  line.member("url", std::string(10'000, 'x'));
  line.member("next", "n");
  EXPECT_EQ(after_time(line), ",\"logger\":\"l\",\"msg\":\"m\",\"url\":\"" +
                                  std::string(CrashLine::kLongestValue, 'x') + "\",\"next\":\"n\"}\n");
}

TEST(CrashLine, LeavesOutWhatHasNoRoom) {
  CrashLine line;
  line.begin("fatal", "l", "m");
  std::string whole = ",\"logger\":\"l\",\"msg\":\"m\"";
  for (int i = 0; i < 100; ++i) line.member("long", std::string(CrashLine::kLongestValue, '\n'));
  // Escaped they are 6 times as long, 3 KiB each: one of them fits.
  line.member("short", "s");
  whole += ",\"long\":\"";
  for (size_t i = 0; i < CrashLine::kLongestValue; ++i) whole += "\\u000a";
  EXPECT_EQ(after_time(line), whole + "\",\"short\":\"s\"}\n");
}

}  // namespace
}  // namespace igor::sapi
