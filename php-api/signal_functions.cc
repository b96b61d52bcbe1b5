#include "php-api/signal_functions.h"

#include <atomic>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>

#include "sapi/cli.h"
#include "sapi/error_report.h"
#include "sapi/php_thread.h"
#include "sapi/zend.h"

namespace igor::api {
namespace {

constexpr const char* kNames[] = {"pcntl_signal",       "pcntl_sigprocmask", "pcntl_sigwaitinfo",
                                  "pcntl_sigtimedwait", "pcntl_exec",        "pcntl_alarm"};
constexpr size_t kCount = std::size(kNames);
constexpr size_t kAlarm = kCount - 1;
zif_handler engines[kCount];

template <size_t which>
void own(INTERNAL_FUNCTION_PARAMETERS) {
  if (sapi::PhpThread::in_forked_child()) {
    engines[which](INTERNAL_FUNCTION_PARAM_PASSTHRU);
    return;
  }
  static std::atomic<bool> said{false};
  if (!said.exchange(true)) {
    sapi::log_host_problem(
        sapi::PhpThread::current(),
        "a script wanted signals, which are the server's own: pcntl_signal() and its like do nothing here");
  }
  if constexpr (which == kAlarm) {
    RETURN_LONG(0);
  } else {
    RETURN_FALSE;
  }
}

template <size_t... which>
void replace_all(std::index_sequence<which...>) {
  const auto replace = [](size_t number, zif_handler handler) {
    auto* const function = static_cast<zend_internal_function*>(
        zend_hash_str_find_ptr(CG(function_table), kNames[number], std::strlen(kNames[number])));
    if (function == nullptr || function->handler == handler) return;
    engines[number] = function->handler;
    function->handler = handler;
  };
  (replace(which, own<which>), ...);
}

}  // namespace

void install_signal_functions() {
  if (!sapi::cli_mode()) replace_all(std::make_index_sequence<kCount>());
}

}  // namespace igor::api
