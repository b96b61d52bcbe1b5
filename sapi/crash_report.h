// What the process says when native code crashes in it: one line on standard error, in the form of Caddy's log, that
// names the worker, the script and its place, the task or the request, the signal and the library. Then the
// process ends, by the signal where that is possible, so that a core dump holds the place of the crash.
//
// Why the process ends: memory that one thread has spoilt is everybody's. Why not by the log queue: its reader is the
// host's, and may hang on what crashed. The line is made in the signal handler, in memory that is there from the start.
// Bounded by a timer that ends the process whatever happens, and a fault while reporting writes what is there.
//
// Faults of memory and arithmetic are watched from before main() on: a Go host finds that handler, and hands over
// faults that did not happen in Go's own code. It hands over no other signal, so those are taken from it once it runs,
// and passed back unless a script's thread raised them.
//
// Threads: any. Locks: none. Lifetime: the process.
#pragma once

namespace igor::sapi {

// Completes what was begun before main(); the host has its handlers by now. Harmless when called again.
void install_crash_report();

}  // namespace igor::sapi
