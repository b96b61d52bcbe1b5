#include "php-api/signal_stream.h"

#include <cstring>

#include "module/clock.h"
#include "module/worker_slot.h"
#include "php-api/stream_support.h"
#include "sapi/php_thread.h"

namespace igor::api {
namespace {

struct SignalStream {
  WorkerSlot* slot;  // lives longer than its script
  bool blocking;
  bool timed_out;
  Duration timeout;  // of a blocking read; negative: none
};

SignalStream& self(php_stream* stream) {
  return *static_cast<SignalStream*>(stream->abstract);
}

ssize_t read_signal(php_stream* stream, char* buffer, size_t size) {
  SignalStream& own = self(stream);
  own.timed_out = false;
  WorkerSlot::Signal signal = WorkerSlot::Signal::Stop;  // for a forked child, whose loop this ends
  if (!sapi::PhpThread::in_forked_child()) own.slot->memory_held(zend_memory_usage(false));
  if (sapi::PhpThread::in_forked_child()) {
  } else if (own.blocking) {
    const TimePoint deadline = own.timeout < Duration::zero() ? kNever : after(now(), own.timeout);
    signal = own.slot->wait_signal(deadline, &sapi::PhpThread::current()->interrupt);
    own.timed_out = signal == WorkerSlot::Signal::None;
  } else {
    signal = own.slot->poll_signal();
  }
  const char* line = nullptr;
  if (signal == WorkerSlot::Signal::Task) line = "task\n";
  if (signal == WorkerSlot::Signal::Stop) line = "stop\n";
  if (line == nullptr) return 0;
  const size_t length = size < 5 ? size : 5;
  std::memcpy(buffer, line, length);
  return static_cast<ssize_t>(length);
}

int close_signal(php_stream* stream, int) {
  efree(stream->abstract);
  stream->abstract = nullptr;
  return 0;
}

int cast_signal(php_stream* stream, int cast_as, void** result) {
  if (cast_as != PHP_STREAM_AS_FD_FOR_SELECT && cast_as != PHP_STREAM_AS_FD) return FAILURE;
  if (sapi::PhpThread::in_forked_child()) return FAILURE;
  if (result == nullptr) return SUCCESS;
  return give_descriptor(self(stream).slot->signal_fd(cast_as == PHP_STREAM_AS_FD), result);
}

int set_signal_option(php_stream* stream, int option, int value, void* pointer) {
  SignalStream& own = self(stream);
  switch (option) {
    case PHP_STREAM_OPTION_BLOCKING: {
      const int before = own.blocking;
      own.blocking = value != 0;
      return before;
    }
    case PHP_STREAM_OPTION_READ_TIMEOUT: {
      const auto* const time = static_cast<const timeval*>(pointer);
      own.timeout = time->tv_sec < 0 ? Duration(-1)
                                     : std::chrono::seconds(time->tv_sec) + std::chrono::microseconds(time->tv_usec);
      return PHP_STREAM_OPTION_RETURN_OK;
    }
    case PHP_STREAM_OPTION_CHECK_LIVENESS:
      return PHP_STREAM_OPTION_RETURN_OK;
    case PHP_STREAM_OPTION_META_DATA_API:
      add_assoc_bool(static_cast<zval*>(pointer), "timed_out", own.timed_out);
      add_assoc_bool(static_cast<zval*>(pointer), "blocked", own.blocking);
      add_assoc_bool(static_cast<zval*>(pointer), "eof", stream->eof);
      return PHP_STREAM_OPTION_RETURN_OK;
    default:
      return PHP_STREAM_OPTION_RETURN_NOTIMPL;
  }
}

const php_stream_ops signal_ops = {
    nullptr, read_signal, close_signal, nullptr, "worker signals", nullptr, cast_signal, nullptr, set_signal_option,
};

}  // namespace

php_stream* make_signal_stream(WorkerSlot& slot) {
  auto* const own = static_cast<SignalStream*>(emalloc(sizeof(SignalStream)));
  *own = SignalStream{&slot, true, false, Duration(-1)};
  php_stream* const stream = php_stream_alloc(&signal_ops, own, nullptr, "r");
  stream->flags |= PHP_STREAM_FLAG_NO_SEEK;
  return stream;
}

}  // namespace igor::api
