#include "php-api/abi/json_writer.h"

#include <gtest/gtest.h>

namespace igor::api {
namespace {

std::string quoted(std::string_view text) {
  JsonWriter json;
  json.value(text);
  return json.text();
}

TEST(JsonWriter, CommasComeByThemselves) {
  JsonWriter json;
  json.begin_object();
  json.member("a", 1);
  json.key("b").begin_array();
  json.end_array();
  json.key("c").begin_array();
  json.value(uint64_t{18446744073709551615u});
  json.begin_object();
  json.end_object();
  json.value(int64_t{-1});
  json.end_array();
  json.key("d").begin_object();
  json.member("e", true);
  json.member("f", "g");
  json.end_object();
  json.member("h", false);
  json.end_object();
  EXPECT_EQ(json.text(), R"({"a":1,"b":[],"c":[18446744073709551615,{},-1],"d":{"e":true,"f":"g"},"h":false})");
}

TEST(JsonWriter, WhatScriptsSayIsAlwaysJson) {
  EXPECT_EQ(quoted("plain"), "\"plain\"");
  EXPECT_EQ(quoted("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(quoted(std::string_view("\n\t\0\x1f", 4)), R"("\n\u0009\u0000\u001f")");
  EXPECT_EQ(quoted("h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
}

TEST(JsonWriter, WhatIsNotUtf8IsReplacedByteByByte) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(quoted("\xff"
                   "a"),
            "\"" + bad + "a\"");
  EXPECT_EQ(quoted("\xc3"), "\"" + bad + "\"") << "cut short";
  EXPECT_EQ(quoted("\xc0\xaf"), "\"" + bad + bad + "\"") << "overlong";
  EXPECT_EQ(quoted("\xe0\x80\x80"), "\"" + bad + bad + bad + "\"") << "overlong";
  EXPECT_EQ(quoted("\xed\xa0\x80"), "\"" + bad + bad + bad + "\"") << "half of a surrogate pair";
  EXPECT_EQ(quoted("\xf4\x90\x80\x80"), "\"" + bad + bad + bad + bad + "\"") << "beyond the last character";
  EXPECT_EQ(quoted("\xe2\x82"), "\"" + bad + bad + "\"") << "cut short";
}

}  // namespace
}  // namespace igor::api
