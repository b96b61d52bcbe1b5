// What the children of this process find that scripts make, by pcntl_fork() or by running programs.
//
// Programs: PHP's threads have their signals blocked (OsThread, AsyncSignalsBlocked), and what is blocked stays so in a
// program that is started: it would never hear of the SIGTERM of proc_terminate() or of `timeout`. And PHP opens files
// and sockets in the way of a process that has one script: a program would hold all that other scripts have open, whose
// peers then wait for an end that does not come. So posix_spawn(), posix_spawnp() and popen() of the C library, which
// libphp calls, are ours first: what a server's script starts has no signal blocked, and no descriptor but its own.
//
// Forked children: one has the thread that forked alone, and locks may be held by those that are not there. It gets the
// system's own way with signals back (the web server's handlers need its threads) and none is blocked; it has no client
// any more; it ends when its script ends (PhpThread::leave_forked_child), and at the latest with the thread that forked
// it. One that its script does not wait for is waited for here, later, or ended children would fill the system's table.
//
// Waiting for any child (pcntl_wait()) means the thread's own: those of others are waited for there. So wait() and its
// like are ours first, too.
//
// The command line's scripts are left as they are: there all this is the script's own matter.
//
// Threads: any. Locks: one mutex of its own, a leaf, held over no system call but waitpid(WNOHANG).
#pragma once

#include <sys/types.h>

namespace igor::sapi {

// In a forked child, on its only thread. `parent`: the server's process, or 0 when it was forked by another child,
// as daemons are: that one may live on.
void settle_forked_child(pid_t parent) noexcept;

// At the end of a script: lets go of those of the thread's children that have ended, and of others' left from before.
void reap_forked_children() noexcept;

}  // namespace igor::sapi
