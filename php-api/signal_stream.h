// The signaling stream of a background worker: level-triggered, and without bytes of its own.
//
// It is readable while a stop is pending or a task can be claimed; reading makes the line ("stop\n" or
// "task\n") at that moment. So no line is ever lost, none can fill a buffer, and loops on the raw
// descriptor (ev, uv, Revolt) see what stream_select sees. Selecting on it, reading it, or handing its
// descriptor to an event loop asks for the worker's next signal: that is what makes the worker wait.
//
// One per run of the script. Threads: the worker's.
#pragma once

#include "sapi/zend.h"

namespace igor {
class WorkerSlot;
}

namespace igor::api {

php_stream* make_signal_stream(WorkerSlot& slot);

}  // namespace igor::api
