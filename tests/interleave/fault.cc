#include "tests/interleave/fault.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace igor::interleave {
namespace {

std::string_view made;

std::vector<std::string_view>& gone() {
  static std::vector<std::string_view> names;
  return names;
}

}  // namespace

bool fault(const char* name) noexcept {
  return made == name;
}

void make(const char* name) noexcept {
  made = name;
}

bool fault_is_gone(const char* name) {
  gone().emplace_back(name);
  return true;
}

bool is_gone(const char* name) {
  return std::find(gone().begin(), gone().end(), name) != gone().end();
}

}  // namespace igor::interleave
