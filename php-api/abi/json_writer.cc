#include "php-api/abi/json_writer.h"

#include <cstdio>

#include "module/utf8.h"

namespace igor::api {

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
    const size_t length = utf8_character(text, at);
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
