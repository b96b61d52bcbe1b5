// The PHP stream of a task: what frankenphp_worker_task_send() returns to the sender, and
// frankenphp_worker_task_receive() to the worker. Two stream types, one per side, so that the wrong one
// is told apart.
//
// Neither holds bytes. The sender's is readable (stream_select, feof after the end) while there is an
// update or the end to read; closing it in any way cancels a task that has not ended. The worker's is
// readable, and at its end, once the task was ended by the other side. fclose() of the worker's completes
// the task; every other way for it to go (its last reference, unwinding, shutdown) aborts it.
//
// How fclose() is told from the rest: at an explicit close the resource is still referenced (by the
// caller's argument at least), while a resource that dies by its last reference has a count of zero, and
// one that dies in the engine's shutdown says so in the engine's flags. Tasks that a script still held
// when it was over have failed before that (WorkerSlot::script_ended).
//
// Ownership: the stream holds one reference to the Task, given up when it closes. Threads: the PHP thread
// that it was made on.
#pragma once

#include "module/task.h"
#include "sapi/zend.h"

namespace igor::api {

enum class TaskSide : uint8_t { Sender, Worker };

// Makes a stream without a task, so that memory which may run out is taken before the task exists.
php_stream* make_task_stream(TaskSide side);
// Gives the stream its task (it takes over the caller's reference). For the worker's side `slot` is the
// one that claimed it.
void attach_task(php_stream* stream, Ref<Task> task, WorkerSlot* slot);

// The task of a stream argument. Null after throwing TypeError when the argument is no stream, closed, of
// another kind, or of the other side.
Task* task_of_argument(uint32_t argument, zval* stream, TaskSide side, php_stream** found = nullptr);

// The task of a stream that is known to be one. Borrowed.
Task* task_of_stream(php_stream* stream);

// The place that keeps a payload while it is decoded, so that a bailout finds it at the stream's end.
Payload& payload_in_hand(php_stream* stream);

}  // namespace igor::api
