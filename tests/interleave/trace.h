// Words for people: what a step is, where in the code it is taken, and a schedule as text that can be given back.
#pragma once

#include <string>
#include <vector>

#include "tests/interleave/object.h"

namespace igor::interleave {

std::string describe(const Operation& operation);
// The function of the core, and who called it, that the calling thread is in.
std::string here();
// "0*12 1*3 0": twelve steps of thread 0, three of thread 1, one of thread 0.
std::string text_of(const std::vector<ThreadId>& schedule);
std::vector<ThreadId> schedule_of(const std::string& text);

}  // namespace igor::interleave
