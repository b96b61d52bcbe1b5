#include "module/failure.h"

#include <utility>

#include "module/text.h"

namespace igor {

Failure::Failure(const Failure& other) noexcept
    : reason(other.reason), exit_status(other.exit_status), line(other.line) {
  put_text(class_name, {other.class_name}, {});
  put_text(message, {other.message}, {});
  put_text(file, {other.file}, {});
  put_text(trace, {other.trace}, {});
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
  put_text(message, parts, {});
}

}  // namespace igor
