// What a request may find and leave behind in an engine that serves many requests in one run of a script.
//
// Worker mode keeps what the script has built up: classes, functions, constants, static and global variables,
// handlers for errors, exceptions and autoloading, stream wrappers. Everything else is, for each request, as
// it would be for the first: either fresh (superglobals, output, headers, session, uploads, last error, random
// seeds, strtok) or as the script had it when it asked for its first request, its *boot state* (settings,
// $_ENV, session save handler, time zone, encodings, locale, current directory, shutdown functions).
//
// Who calls what, all on the PHP thread, all entering the engine, so a bailout may pass through:
//   take_boot_state()   once per run, when the script asks for its first request
//   activate_idle()     puts the engine where no request is: what is printed goes to the log
//   deactivate_idle()   leaves that again (and the one that request startup made for the boot)
//   activate_request()  as request startup would
//   finish_output()     shutdown functions, output buffers, session, headers: the response is complete then
//   reset_request()     the rest, while the client reads its response
//   leave_run()         before request shutdown, also after a bailout: gives back what it holds
//
// Owner: the HTTP worker's thread object; plain members in the engine's memory, which ends with the run.
#pragma once

#include "sapi/php_thread.h"
#include "sapi/zend.h"

namespace igor::sapi {

class HttpRequest;

class RequestState {
 public:
  static constexpr size_t kSettledFunctions = 10;
  static constexpr size_t kSessionHandlers = 9;

  // Forgets the run before, whose memory is gone.
  void begin_run() { *this = RequestState(); }

  void take_boot_state();
  bool has_boot_state() const noexcept { return taken_; }
  void activate_idle(PhpThread& thread);
  void deactivate_idle();
  void activate_request(PhpThread& thread, HttpRequest& request);
  // False when a shutdown function has called exit(): the script must end.
  bool finish_output(PhpThread& thread);
  void reset_request();
  void leave_run();

 private:
  void take_settings();
  void restore_settings();
  void take_session_handlers();
  void restore_session_handlers();
  void reset_superglobals();
  void restore_environment_variable();
  void call_shutdown_functions();
  void restore_shutdown_functions();
  void close_body();

  bool taken_ = false;
  zval env_ = {};                            // $_ENV
  HashTable* settings_ = nullptr;            // name => value of each that differs from the configuration
  HashTable* shutdown_functions_ = nullptr;  // while a request is served; else the engine has them
  bool in_request_ = false;
  zend_string* directory_ = nullptr;
  zend_string* locale_ = nullptr;
  zend_string* ctype_ = nullptr;  // what the engine remembers of it
  void* default_context_ = nullptr;
  zval settled_[kSettledFunctions] = {};  // what the functions of kSettled answered
  zval session_handlers_[kSessionHandlers] = {};
  zend_string* session_class_ = nullptr;
};

// Reports the exception in flight as an uncaught one, with status 500 if it is not too late, and forgets it.
// False, and it stays: it is exit() on its way out.
bool report_exception(PhpThread& thread);

// php.ini text ("key=value" lines) for a script that has just started. Calls `refused` with the name of each
// setting that is unknown or refuses its value.
void apply_settings(const char* text, void (*refused)(PhpThread& thread, const char* name, bool unknown),
                    PhpThread& thread);

// Settings that were overridden in the engine's own variables, without the entry's knowledge, take the
// entry's value again.
void refresh_setting(const char* name);

}  // namespace igor::sapi
