#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

#include "module/log.h"
#include "php-api/abi/abi.h"
#include "php-api/abi/scopes.h"
#include "sapi/attention.h"
#include "sapi/engine.h"
#include "sapi/zend.h"

using igor::abi::fail;
using igor::abi::view;
using igor::sapi::Engine;

extern "C" zend_module_entry igor_module_entry;

extern "C" {

igor_status igor_engine_start(const igor_engine_options* given, char* error, size_t error_size) noexcept {
  return igor::abi::guarded(error, error_size, [&] {
    if (!igor::abi::size_known(given)) {
      return fail(IGOR_INVALID, "igor_engine_options: its size is not one that this library knows", error, error_size);
    }
    const igor_engine_options options = igor::abi::completed(given);
    if (options.spare_threads > 4096) {
      return fail(IGOR_INVALID,
                  "spare_threads is " + std::to_string(options.spare_threads) + "; it must be from 0 to 4096", error,
                  error_size);
    }
    if (view(options.ini).find('\0') != std::string_view::npos) {
      return fail(IGOR_INVALID, "the php.ini text holds a NUL byte", error, error_size);
    }
    if (Engine::instance().state() != Engine::State::Stopped) {
      return fail(IGOR_STATE,
                  Engine::instance().state() == Engine::State::Abandoned
                      ? "PHP cannot be started again: a script that could not be ended still runs; restart the process"
                      : "PHP is already running in this process",
                  error, error_size);
    }
    // The engine before may have ended with its log.
    igor::LogQueue::global().reopen();
    if (!igor::sapi::AttentionQueue::global().open()) {
      return fail(IGOR_FAILED,
                  std::string("no descriptor for requests that need their caller: ") + strerror(errno) +
                      "; raise the limit of open files (ulimit -n, or LimitNOFILE= of a systemd unit)",
                  error, error_size);
    }
    igor::sapi::EngineOptions engine;
    engine.max_wait_ms = options.max_wait_ms;
    engine.spare_threads = options.spare_threads;
    engine.max_idle_ms = options.max_idle_ms;
    engine.max_requests = options.max_requests;
    engine.ini = view(options.ini);
    engine.extension = &igor_module_entry;
    std::string problem;
    if (!Engine::instance().start(engine, problem)) return fail(IGOR_FAILED, problem, error, error_size);
    return IGOR_OK;
  });
}

igor_status igor_engine_stop(uint32_t grace_ms) noexcept {
  return igor::abi::guarded(nullptr, 0, [&] {
    igor::api::close_all_generations();
    return Engine::instance().stop(std::chrono::milliseconds(grace_ms)) ? IGOR_OK : IGOR_TIMEOUT;
  });
}

}  // extern "C"
