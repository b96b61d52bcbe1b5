// PHP inside a fuzz target: the engine runs for the life of the process, and the calling thread has a request open.
#pragma once

#include <cstdlib>
#include <string>

#include "sapi/cli.h"
#include "sapi/engine.h"
#include "sapi/php_thread.h"
#include "sapi/zend.h"
#include "tests/fuzz/input.h"

extern "C" zend_module_entry igor_module_entry;

namespace igor::fuzz {

class PhpForFuzz {
 public:
  // Never ends: a fuzzer leaves by exit(), on whatever thread.
  static PhpForFuzz& instance() {
    static auto* const php = new PhpForFuzz;
    return *php;
  }

  // Ends the request and begins another, so that what a run leaves behind does not pile up.
  void next_request() {
    EG(current_execute_data) = nullptr;
    sapi::catch_bailout([] { php_request_shutdown(nullptr); });
    begin_request();
  }

 private:
  PhpForFuzz() {
    sapi::EngineOptions options;
    options.cli = true;
    options.ini_ignore = true;
    options.ini = "opcache.enable=0\ndisplay_errors=0\n";
    options.extension = &igor_module_entry;
    std::string error;
    sapi::set_cli_mode(true);
    FUZZ_CHECK(sapi::Engine::instance().start(options, error));
    thread_ = new sapi::PhpThread(sapi::PhpThread::Kind::Cli, "fuzz");
    SG(server_context) = thread_;
    begin_request();
  }

  void begin_request() {
    FUZZ_CHECK(sapi::catch_bailout([] { FUZZ_CHECK(php_request_startup() == SUCCESS); }));
    frame_.func = static_cast<zend_function*>(zend_hash_str_find_ptr(EG(function_table), ZEND_STRL("strlen")));
    FUZZ_CHECK(frame_.func != nullptr);
    EG(current_execute_data) = &frame_;
  }

  sapi::PhpThread* thread_;
  zend_execute_data frame_{};  // of some function: what is thrown outside of any is fatal
};

}  // namespace igor::fuzz
