#include "php-api/stream_support.h"

#include <sys/select.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include <php_network.h>

#include "module/log.h"
#include "sapi/error_report.h"

namespace igor::api {

int give_descriptor(int fd, void** result) {
  if (fd < 0) {
    php_error_docref(nullptr, E_WARNING, "Could not make a descriptor to wait on: %s", std::strerror(errno));
    return FAILURE;
  }
  static std::atomic<bool> warned{false};
  if (fd >= FD_SETSIZE * 3 / 4 && !warned.exchange(true)) {
    sapi::log_record([fd](LogRecord& record) {
      record.logger = "engine";
      record.level = kLogWarn;
      record.message = "the process is running out of descriptors that stream_select() can use (below " +
                       std::to_string(FD_SETSIZE) + "): close streams, or wait with an event loop (ev, uv)";
      record.fields = {{"descriptor", std::to_string(fd)}};
    });
  }
  *reinterpret_cast<php_socket_t*>(result) = fd;
  return SUCCESS;
}

}  // namespace igor::api
