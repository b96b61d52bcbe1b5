// Whether a file is still the one it was: which one, how large, and when it last changed. Two stamps that are
// equal mean that a script need not be loaded again.
#pragma once

#include <cstdint>
#include <string>

namespace igor {

struct FileStamp {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t size = -1;  // -1: there was no such file
  int64_t changed_ns = 0;

  static FileStamp of(const std::string& path);
  bool operator==(const FileStamp&) const = default;
};

}  // namespace igor
