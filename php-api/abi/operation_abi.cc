// The part of igor.h by which a running server is looked at and steered.
#include <cstdlib>

#include "php-api/abi/abi.h"

using igor::abi::fail;

extern "C" {

igor_status igor_pool_control(igor_handle, int, char* error, size_t error_size) noexcept {
  return fail(IGOR_STATE, "this build cannot steer pools", error, error_size);
}

igor_status igor_worker_restart(igor_handle, uint32_t, char* error, size_t error_size) noexcept {
  return fail(IGOR_STATE, "this build cannot steer pools", error, error_size);
}

igor_status igor_task_cancel(igor_handle, uint64_t) noexcept {
  return IGOR_GONE;
}

igor_status igor_report(igor_handle, char** json, size_t* size) noexcept {
  *json = nullptr;
  *size = 0;
  return IGOR_STATE;
}

void igor_free(void* memory) noexcept {
  std::free(memory);
}

}  // extern "C"
