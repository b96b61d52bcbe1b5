#include "php-api/abi/json_writer.h"

#include <cstdio>

namespace igor::api {
namespace {

// How many bytes from `at` on are one well-formed UTF-8 character; 0: none.
size_t character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  const auto follows = [&](size_t i, unsigned from = 0x80, unsigned to = 0xbf) {
    return byte(i) >= from && byte(i) <= to;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    // No overlong form, and no half of a surrogate pair.
    const bool second = follows(1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf);
    return second && follows(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const bool second = follows(1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf);
    return second && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

void JsonWriter::separate() {
  if (!first_) text_ += ',';
  first_ = false;
}

void JsonWriter::open(char bracket) {
  separate();
  text_ += bracket;
  first_ = true;
}

void JsonWriter::close(char bracket) {
  text_ += bracket;
  first_ = false;
}

void JsonWriter::raw(std::string_view text) {
  separate();
  text_ += text;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  quoted(name);
  text_ += ':';
  first_ = true;  // no comma before the value
  return *this;
}

void JsonWriter::value(std::string_view text) {
  separate();
  quoted(text);
}

void JsonWriter::quoted(std::string_view text) {
  text_ += '"';
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_at(text, at);
    const char byte = text[at];
    if (length == 0) {
      text_ += "\xef\xbf\xbd";
      ++at;
      continue;
    }
    if (byte == '"' || byte == '\\') {
      text_ += '\\';
      text_ += byte;
    } else if (byte == '\n') {
      text_ += "\\n";
    } else if (static_cast<unsigned char>(byte) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(byte));
      text_ += escape;
    } else {
      text_ += text.substr(at, length);
    }
    at += length;
  }
  text_ += '"';
}

}  // namespace igor::api
