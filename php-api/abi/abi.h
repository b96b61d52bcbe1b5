// What all parts of the C ABI's implementation share: strings in, errors out, handles.
//
// Every function of the ABI is a thin shell: it checks its arguments, calls one thing, translates the
// answer. C++ exceptions end here (guarded): the host learns of them as IGOR_NO_MEMORY or IGOR_FAILED.
#pragma once

#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "caddy-plugin/bridge/igor.h"
#include "php-api/abi/error_text.h"

namespace igor::abi {

inline std::string_view view(igor_str text) {
  return text.data ? std::string_view(text.data, text.len) : std::string_view();
}
inline igor_str str(std::string_view text) {
  return {text.data(), text.size()};
}

// Puts the sentence into the caller's buffer, if there is one, and passes the status on.
inline igor_status fail(igor_status status, std::string_view sentence, char* error, size_t error_size) {
  api::put_error(error, error_size, sentence);
  return status;
}

template <typename Body>
igor_status guarded(char* error, size_t error_size, Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(IGOR_NO_MEMORY, "out of memory", error, error_size);
  } catch (const std::exception& exception) {
    return fail(IGOR_FAILED, exception.what(), error, error_size);
  } catch (...) {
    return fail(IGOR_FAILED, "unknown C++ exception", error, error_size);
  }
}

// The caller's struct may be older and shorter than ours, never longer: then it was compiled with a
// header that this library does not know.
template <typename Options>
bool size_known(const Options* options) {
  return options && options->size >= sizeof(uint32_t) && options->size <= sizeof(Options);
}

// A copy of the caller's struct in which what it left out is zero.
template <typename Options>
Options completed(const Options* options) {
  Options copy;
  std::memset(static_cast<void*>(&copy), 0, sizeof copy);
  std::memcpy(static_cast<void*>(&copy), options, options->size);
  return copy;
}

}  // namespace igor::abi
