#include "module/failure.h"

#include <new>
#include <utility>

namespace igor {
namespace {

void copy_if_it_fits(std::string& to, const std::string& from) noexcept {
  try {
    to = from;
  } catch (const std::bad_alloc&) {
    to.clear();
  }
}

}  // namespace

Failure::Failure(const Failure& other) noexcept
    : reason(other.reason), exit_status(other.exit_status), line(other.line) {
  copy_if_it_fits(class_name, other.class_name);
  copy_if_it_fits(message, other.message);
  copy_if_it_fits(file, other.file);
  copy_if_it_fits(trace, other.trace);
}

Failure& Failure::operator=(Failure other) noexcept {
  reason = other.reason;
  exit_status = other.exit_status;
  line = other.line;
  class_name = std::move(other.class_name);
  message = std::move(other.message);
  file = std::move(other.file);
  trace = std::move(other.trace);
  return *this;
}

void Failure::explain(std::initializer_list<std::string_view> parts) noexcept {
  message.clear();
  try {
    for (const std::string_view part : parts) message += part;
  } catch (const std::bad_alloc&) {
    message.clear();
  }
}

}  // namespace igor
