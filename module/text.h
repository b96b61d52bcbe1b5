// Sentences for people, put together where there may be no memory for them: then there are just fewer words.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace igor {

// Replaces `to` by the parts, one after the other. Without memory for them: by `instead`, which must be short
// (at most 15 bytes: those lie inside of a string).
void put_text(std::string& to, std::initializer_list<std::string_view> parts,
              std::string_view instead = "out of memory") noexcept;

}  // namespace igor
