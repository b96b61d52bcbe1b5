#include "php-api/task_stream.h"

#include <new>

#include "module/activity.h"
#include "module/worker_slot.h"
#include "php-api/api_thread.h"
#include "php-api/stream_support.h"
#include "php-api/task_failed.h"
#include "sapi/php_thread.h"

namespace igor::api {
namespace {

// In request memory, but with members that own memory of their own: made and ended by hand, in
// make_task_stream() and close_task().
struct TaskStream {
  Task* task = nullptr;  // owns a reference
  WorkerSlot* slot = nullptr;
  bool blocking = true;
  Payload in_hand;
};

TaskStream& self(php_stream* stream) {
  return *static_cast<TaskStream*>(stream->abstract);
}

bool closed_explicitly(const php_stream* stream) {
  return stream->res != nullptr && GC_REFCOUNT(stream->res) > 0 &&
         !(EG(flags) & (EG_FLAGS_IN_SHUTDOWN | EG_FLAGS_IN_RESOURCE_SHUTDOWN));
}

void end_worker_side(php_stream* stream, TaskStream& own) {
  if (!own.task->ended()) {
    if (closed_explicitly(stream)) {
      own.task->complete({});
    } else {
      own.task->fail(failure_in_flight());
    }
  }
  sapi::PhpThread* const thread = sapi::PhpThread::current();
  if (thread->task_id == own.task->id()) {
    thread->flush_logged_output();  // a line without an end is still this task's
    thread->task_id = 0;
  }
  own.slot->release(*own.task);
}

template <TaskSide side>
int close_task(php_stream* stream, int) {
  TaskStream& own = self(stream);
  // A forked child leaves the task to its parent.
  if (own.task != nullptr && !sapi::PhpThread::in_forked_child()) {
    if constexpr (side == TaskSide::Sender) {
      own.task->cancel();
    } else {
      end_worker_side(stream, own);
    }
    own.task->release();
  }
  own.~TaskStream();
  efree(stream->abstract);
  stream->abstract = nullptr;
  return 0;
}

template <TaskSide side>
bool at_end(TaskStream& own) {
  if (own.task == nullptr || sapi::PhpThread::in_forked_child()) return true;
  return side == TaskSide::Sender ? own.task->drained() : own.task->ended();
}

template <TaskSide side>
ssize_t read_task(php_stream* stream, char*, size_t) {
  if (at_end<side>(self(stream))) {
    stream->eof = 1;
    return 0;
  }
  php_error_docref(
      nullptr, E_WARNING, "%s",
      side == TaskSide::Sender
          ? "A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()"
          : "A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled");
  return -1;
}

template <TaskSide side>
int cast_task(php_stream* stream, int cast_as, void** result) {
  TaskStream& own = self(stream);
  if ((cast_as != PHP_STREAM_AS_FD_FOR_SELECT && cast_as != PHP_STREAM_AS_FD) || own.task == nullptr) return FAILURE;
  if (sapi::PhpThread::in_forked_child()) return FAILURE;
  if (result == nullptr) return SUCCESS;  // only asked whether it could be
  int fd;
  if constexpr (side == TaskSide::Sender) {
    activity::idle_end();
    if (cast_as == PHP_STREAM_AS_FD_FOR_SELECT) own.task->sender_before_poll();
    fd = own.task->sender_fd();
    if (!own.task->readable()) activity::idle_begin();
  } else {
    fd = own.task->worker_fd();
  }
  return give_descriptor(fd, result);
}

template <TaskSide side>
int set_task_option(php_stream* stream, int option, int value, void* pointer) {
  TaskStream& own = self(stream);
  switch (option) {
    case PHP_STREAM_OPTION_BLOCKING: {
      const int before = own.blocking;
      own.blocking = value != 0;
      return before;
    }
    case PHP_STREAM_OPTION_CHECK_LIVENESS:
      return at_end<side>(own) ? PHP_STREAM_OPTION_RETURN_ERR : PHP_STREAM_OPTION_RETURN_OK;
    case PHP_STREAM_OPTION_META_DATA_API:
      add_assoc_bool(static_cast<zval*>(pointer), "timed_out", false);
      add_assoc_bool(static_cast<zval*>(pointer), "blocked", own.blocking);
      add_assoc_bool(static_cast<zval*>(pointer), "eof", at_end<side>(own));
      return PHP_STREAM_OPTION_RETURN_OK;
    default:
      return PHP_STREAM_OPTION_RETURN_NOTIMPL;
  }
}

template <TaskSide side>
const php_stream_ops task_ops = {
    nullptr,  // write: "Stream is not writable"
    read_task<side>,
    close_task<side>,
    nullptr,  // flush
    side == TaskSide::Sender ? "task" : "received task",
    nullptr,  // seek
    cast_task<side>,
    nullptr,  // stat
    set_task_option<side>,
};

}  // namespace

php_stream* make_task_stream(TaskSide side) {
  void* const memory = emalloc(sizeof(TaskStream));
  auto* const own = new (memory) TaskStream;
  php_stream* const stream = php_stream_alloc(
      side == TaskSide::Sender ? &task_ops<TaskSide::Sender> : &task_ops<TaskSide::Worker>, own, nullptr, "r");
  stream->flags |= PHP_STREAM_FLAG_NO_SEEK;
  return stream;
}

void attach_task(php_stream* stream, Ref<Task> task, WorkerSlot* slot) {
  self(stream).task = task.leak();
  self(stream).slot = slot;
}

Task* task_of_argument(uint32_t argument, zval* value, TaskSide side, php_stream** found) {
  if (Z_TYPE_P(value) != IS_RESOURCE) {
    zend_argument_type_error(argument, "must be of type resource, %s given", zend_zval_value_name(value));
    return nullptr;
  }
  if (in_forked_child()) return nullptr;
  auto* const stream =
      static_cast<php_stream*>(zend_fetch_resource2_ex(value, nullptr, php_file_le_stream(), php_file_le_pstream()));
  const bool sender = stream != nullptr && stream->ops == &task_ops<TaskSide::Sender>;
  const bool worker = stream != nullptr && stream->ops == &task_ops<TaskSide::Worker>;
  if (stream == nullptr) {
    zend_argument_type_error(argument, "must be an open task stream; this one is closed or no stream");
  } else if (side == TaskSide::Sender ? sender : worker) {
    if (found != nullptr) *found = stream;
    return self(stream).task;
  } else if (sender) {
    zend_argument_type_error(
        argument, "must be a stream from frankenphp_worker_task_receive(), this is the sender's side of a task");
  } else if (worker) {
    zend_argument_type_error(
        argument, "must be a stream from frankenphp_worker_task_send(), this is the worker's side of a task");
  } else {
    zend_argument_type_error(
        argument, "must be a task stream from %s, %s stream given",
        side == TaskSide::Sender ? "frankenphp_worker_task_send()" : "frankenphp_worker_task_receive()",
        stream->ops->label);
  }
  return nullptr;
}

Task* task_of_stream(php_stream* stream) {
  return self(stream).task;
}

Payload& payload_in_hand(php_stream* stream) {
  return self(stream).in_hand;
}

}  // namespace igor::api
