// Fills $_SERVER, and makes getenv() and $_ENV see what the configuration gave a script on top of the
// process's environment.
//
// $_SERVER of an HTTP request: the environment first, then what the web server says, so that no variable
// of the environment can pose as a header or as the client's address. Header variables (HTTP_*) are
// checked again although the web server's side builds them: a `Proxy` header never becomes HTTP_PROXY,
// which libraries take for a setting of the environment, and a header whose name has an underscore never
// stands in for the one with a dash (X_Forwarded_For for X-Forwarded-For).
//
// Threads: the PHP thread that runs the script. All functions but env_lookup() enter the engine.
#pragma once

#include <string_view>

#include "sapi/php_thread.h"

struct _zval_struct;

namespace igor::sapi {

// Puts the environment pairs of running scripts behind the engine's own import of the environment.
// Once per start of the engine.
void install_environment_hook();

// The value that the configuration gave the running script, or null. NUL-terminated; borrowed.
char* env_lookup(PhpThread& thread, std::string_view name) noexcept;

// The engine's callback: fills `variables` for what runs on this thread.
void register_server_variables(PhpThread& thread, _zval_struct* variables);

}  // namespace igor::sapi
