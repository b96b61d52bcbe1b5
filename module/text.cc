#include "module/text.h"

#include <cassert>
#include <new>

namespace igor {

void put_text(std::string& to, std::initializer_list<std::string_view> parts, std::string_view instead) noexcept {
  try {
    std::string text;  // a part may lie in `to`
    for (const std::string_view part : parts) text += part;
    to.swap(text);
  } catch (const std::bad_alloc&) {
    assert(instead.size() < sizeof(std::string) / 2);
    to.assign(instead);
  }
}

}  // namespace igor
