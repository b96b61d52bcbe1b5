#include <string>

#include "php-api/abi/abi.h"
#include "sapi/zend.h"

#ifndef IGOR_VERSION
#define IGOR_VERSION "unversioned"
#endif

using igor::abi::fail;

extern "C" {

igor_status igor_abi_check(uint32_t abi_version, char* error, size_t error_size) noexcept {
  if (abi_version != IGOR_ABI_VERSION) {
    return igor::abi::guarded(error, error_size, [&] {
      return fail(IGOR_MISMATCH,
                  "the server was compiled for version " + std::to_string(abi_version) +
                      " of Igor's C ABI and linked with a library of version " + std::to_string(IGOR_ABI_VERSION) +
                      "; build both from the same source",
                  error, error_size);
    });
  }
  // Compiled against one PHP and linked with another: structures may differ, and nothing else would tell.
  if (std::string_view(php_version()) != PHP_VERSION) {
    return igor::abi::guarded(error, error_size, [&] {
      return fail(IGOR_MISMATCH,
                  std::string("Igor was compiled for PHP ") + PHP_VERSION + " but found a libphp of version " +
                      php_version() + "; build Igor again, or give it the libphp that it was built for",
                  error, error_size);
    });
  }
  return IGOR_OK;
}

const char* igor_version(void) noexcept {
  return IGOR_VERSION;
}

const char* igor_php_version(void) noexcept {
  return php_version();
}

}  // extern "C"
