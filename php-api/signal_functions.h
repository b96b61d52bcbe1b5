// pcntl's functions for signals, which in a server would take the process's own from it.
//
// What a signal does is the process's, and with it the web server's: PHP's pcntl_signal(SIGTERM, ...) would have the
// whole server no longer end when it is told to, and crash instead, because its handler runs on threads that know no
// PHP. pcntl_alarm() would ring for everybody, pcntl_sigwaitinfo() take the server's signals away, and pcntl_exec()
// replace it. In a server they do nothing and say so: false (the alarm: 0), and once in the log. A worker hears that it
// shall stop by its signaling stream.
//
// In a forked child, which is its script's own process, and on the command line they are PHP's own.
//
// Threads: any that runs PHP; no state but a flag.
#pragma once

namespace igor::api {

// Puts these functions in the place of pcntl's, where there is one. At module start, before any thread but the first.
void install_signal_functions();

}  // namespace igor::api
