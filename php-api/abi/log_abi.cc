#include <string>

#include "module/log.h"
#include "module/packed_pairs.h"
#include "php-api/abi/abi.h"

using igor::LogQueue;
using igor::abi::str;

extern "C" {

igor_status igor_log_next(uint32_t timeout_ms, igor_log_record* out) noexcept {
  return igor::abi::guarded(nullptr, 0, [&] {
    if (!out || out->size < sizeof(igor_log_record)) return IGOR_INVALID;
    // What the caller's record points to until this thread's next call.
    thread_local igor::LogRecord record;
    thread_local std::string fields;
    uint64_t dropped = 0;
    switch (LogQueue::global().next(timeout_ms, record, dropped)) {
      case LogQueue::Next::Timeout:
        return IGOR_TIMEOUT;
      case LogQueue::Next::Closed:
        return IGOR_GONE;
      case LogQueue::Next::Record:
        break;
    }
    fields.clear();
    for (const auto& [key, value] : record.fields) igor::append_packed_pair(fields, key, value);
    out->level = record.level;
    out->time_unix_ns = record.time_unix_ns;
    out->logger = str(record.logger);
    out->message = str(record.message);
    out->fields = str(fields);
    out->context_json = str(record.context_json);
    out->dropped = dropped;
    return IGOR_OK;
  });
}

void igor_log_close(void) noexcept {
  LogQueue::global().close();
}

}  // extern "C"
