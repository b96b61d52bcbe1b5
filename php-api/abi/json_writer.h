// Writes one JSON document from front to back: values and members in the order of the calls, commas by itself.
//
// Text may be any bytes, since scripts put theirs into messages: what is not UTF-8 becomes U+FFFD, so the
// document always is. Numbers are integers. Nesting is the caller's to close. One thread; no locks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace igor::api {

class JsonWriter {
 public:
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }

  // Before a member's value.
  JsonWriter& key(std::string_view name);

  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(const std::string& text) { value(std::string_view(text)); }
  void value(bool truth) { raw(truth ? "true" : "false"); }
  void value(uint64_t number) { raw(std::to_string(number)); }
  void value(int64_t number) { raw(std::to_string(number)); }
  void value(uint32_t number) { value(static_cast<uint64_t>(number)); }
  void value(int number) { value(static_cast<int64_t>(number)); }

  template <typename Value>
  void member(std::string_view name, const Value& content) {
    key(name).value(content);
  }

  const std::string& text() const noexcept { return text_; }

 private:
  void open(char bracket);
  void close(char bracket);
  void separate();
  void raw(std::string_view text);
  void quoted(std::string_view text);

  std::string text_;
  bool first_ = true;  // of its array or object; after a key, of nothing
};

}  // namespace igor::api
