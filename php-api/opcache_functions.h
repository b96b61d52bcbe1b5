// opcache_reset() for a process with many threads.
//
// The engine's own one has opcache forget everything by reusing its shared memory from the start. Opcache
// waits with that until no *process* uses the memory; the threads of one process do not stop each other,
// so under load the memory goes from under running scripts, and the server crashes. Here each cached script is
// marked as out of date instead: all are compiled anew when they are next asked for, which is what the caller
// wants, and no memory is reused. (The marked scripts' memory counts as wasted until the server restarts.)
//
// Threads: any that runs PHP. Not on the command line, which has one script.
#pragma once

namespace igor::api {

// Puts the function in the place of opcache's once the engine is up. At module start.
void install_opcache_functions();

}  // namespace igor::api
