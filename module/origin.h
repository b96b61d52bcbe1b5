// Where tasks come from, for people to read: "POST /upload.php". Made once by whoever sends and shared by all
// the tasks that it sends; never changed, so any thread may read it.
#pragma once

#include <string>

#include "module/ref.h"

namespace igor {

class Origin final : public RefCounted<Origin> {
 public:
  explicit Origin(std::string text) : text_(std::move(text)) {}
  const std::string& text() const noexcept { return text_; }

 private:
  const std::string text_;
};

}  // namespace igor
