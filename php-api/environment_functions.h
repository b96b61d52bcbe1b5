// putenv() and getenv() with an environment per request.
//
// The process has one environment, and PHP's own putenv() changes it: with many scripts in one process
// each would see, and at its end undo, the changes of its neighbours. Here a change is the request's own:
// kept with the thread, on top of the host's variables and the process's, and forgotten with the request.
// On the command line, where a process has one script, the engine's functions stay as they are.
//
// Child processes (exec, proc_open without an environment) get the process's variables, without these.
//
// Threads: state is thread-local, so there are no locks. Lifetime: until end_request_environment().
#pragma once

namespace igor::api {

// Puts these functions in the place of the engine's. At module start, before any thread but the first.
void install_environment_functions();

// Forgets what the request has set.
void end_request_environment() noexcept;

// HTTP worker mode, where one run serves many requests: what the script has set before the first of them is
// there for each. keep_ does something once in a run; restore_ after each request. Neither enters the engine.
void keep_boot_environment();
void restore_boot_environment();

}  // namespace igor::api
