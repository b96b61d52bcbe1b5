// How many script threads want a CPU right now: the basis for deciding whether spinning can pay.
//
// A thread that spins while others need its CPU slows down the very thread it waits for. So every
// thread that runs scripts counts itself (thread_started/stopped), marks the times in which it sleeps
// for good (idle_begin/end), and worth_spinning() says yes only while the rest fit on the CPUs.
//
// One relaxed atomic counter: the answer is a hint, never a basis for correctness. Threads that were
// never started here (unit tests, the host's own) do not count and may spin.
#pragma once

namespace igor::activity {

void thread_started() noexcept;
void thread_stopped() noexcept;
// No-ops on a thread that is not counted, and when repeated.
void idle_begin() noexcept;
void idle_end() noexcept;

// False with one CPU, with IGOR_SPIN=0 in the environment, and while more threads are active than
// there are CPUs.
bool worth_spinning() noexcept;

// The CPU that the calling thread runs on, as of now; -1 when that is not known. Costs a nanosecond.
int current_cpu() noexcept;

}  // namespace igor::activity
