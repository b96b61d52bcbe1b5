// Igor\Task::all(), any() and race(): waiting for several tasks at once.
//
// One Wakeup serves the whole group: every task notifies it as well as its own, so waiting for a thousand
// tasks takes no descriptor and one sleep. Updates that nobody will read are dropped as they come, so
// that a worker with a full FIFO does not wait for ever.
#include <zend_interfaces.h>

#include "module/activity.h"
#include "module/wakeup.h"
#include "php-api/stream_object.h"
#include "php-api/task_failed.h"
#include "php-api/task_object.h"
#include "php-api/task_sending.h"
#include "sapi/payload_codec.h"

using namespace igor;
using namespace igor::api;

namespace {

// Closed: script code that ran while a value was decoded (an autoloader) closed the task's stream.
enum class Ended { Completed, Failed, Interrupted, Closed };

// What happened to the group since the last look. Plain data: see wait_for_one().
struct Next {
  Ended how;
  uint32_t position;  // among the members
};

// The members of a group, in order, as an array of the engine's: key => Igor\Task. `open` says which of
// them have not ended yet.
struct Group {
  zend_array* members;
  bool* open;
  uint32_t count;
};

zend_object* member(const Group& group, uint32_t position) {
  return Z_OBJ(group.members->arData[position].val);
}

// Null when its stream was closed.
Task* task_at(const Group& group, uint32_t position) {
  php_stream* const stream = open_stream(member(group, position));
  return stream == nullptr ? nullptr : task_of_stream(stream);
}

void watch_all(const Group& group, Wakeup* wakeup) {
  for (uint32_t i = 0; i < group.count; ++i) {
    Task* const task = group.open[i] ? task_at(group, i) : nullptr;
    if (task != nullptr) task->watch(wakeup);
  }
}

// Blocks until one of the open members has ended. Does not enter the engine.
Next wait_for_one(const Group& group) {
  Interrupt* const interrupt = &sapi::PhpThread::current()->interrupt;
  activity::idle_end();
  Wakeup wakeup;
  watch_all(group, &wakeup);
  Next next{Ended::Interrupted, 0};
  for (bool found = false; !found;) {
    const Wakeup::Ticket ticket = wakeup.ticket();
    for (uint32_t i = 0; i < group.count && !found; ++i) {
      if (!group.open[i]) continue;
      Task* const task = task_at(group, i);
      if (task == nullptr) {
        next = {Ended::Closed, i};
        found = true;
        continue;
      }
      Task::ReadResult result;
      do {
        Payload dropped;
        result = task->read(dropped, TimePoint{}, nullptr);
      } while (result == Task::ReadResult::Update);
      if (result == Task::ReadResult::TimedOut) continue;  // not yet
      next = {result == Task::ReadResult::Completed ? Ended::Completed : Ended::Failed, i};
      found = true;
    }
    if (found || interrupted(interrupt)) break;
    wakeup.wait(ticket, kNever, interrupt);
  }
  watch_all(group, nullptr);
  return next;
}

// Copies the argument's tasks into a hashed array (so that positions are plain indexes). False after
// throwing.
bool collect(zval* tasks, Group& group) {
  group.members = zend_new_array(8);
  zend_hash_real_init_mixed(group.members);
  const auto add = [](zend_array* members, zval* key, zval* value) {
    ZVAL_DEREF(value);
    php_stream* stream;
    if (Z_TYPE_P(value) != IS_OBJECT || Z_OBJCE_P(value) != task_class) {
      zend_argument_type_error(1, "must contain only Igor\\Task objects, %s given", zend_zval_value_name(value));
      return false;
    }
    if (task_of_object(Z_OBJ_P(value), &stream) == nullptr) return false;
    array_set_zval_key(members, key, value);  // takes a reference of its own
    return true;
  };
  if (Z_TYPE_P(tasks) == IS_ARRAY) {
    zend_ulong index;
    zend_string* name;
    zval* value;
    ZEND_HASH_FOREACH_KEY_VAL(Z_ARRVAL_P(tasks), index, name, value) {
      zval key;
      if (name != nullptr) {
        ZVAL_STR(&key, name);
      } else {
        ZVAL_LONG(&key, static_cast<zend_long>(index));
      }
      if (!add(group.members, &key, value)) return false;
    }
    ZEND_HASH_FOREACH_END();
  } else {
    zend_object_iterator* const iterator = Z_OBJCE_P(tasks)->get_iterator(Z_OBJCE_P(tasks), tasks, 0);
    if (iterator == nullptr || EG(exception)) return false;
    if (iterator->funcs->rewind) iterator->funcs->rewind(iterator);
    for (zend_long position = 0; !EG(exception) && iterator->funcs->valid(iterator) == SUCCESS; ++position) {
      zval* const value = iterator->funcs->get_current_data(iterator);
      if (EG(exception) || value == nullptr) break;
      zval key;
      ZVAL_LONG(&key, position);
      if (iterator->funcs->get_current_key) iterator->funcs->get_current_key(iterator, &key);
      const bool added = !EG(exception) && add(group.members, &key, value);
      zval_ptr_dtor(&key);
      if (!added) break;
      iterator->funcs->move_forward(iterator);
    }
    zend_iterator_dtor(iterator);
    if (EG(exception)) return false;
  }
  group.count = group.members->nNumUsed;
  group.open = static_cast<bool*>(emalloc(group.count + 1));
  memset(group.open, true, group.count);
  return true;
}

void cancel_open(const Group& group) {
  for (uint32_t i = 0; i < group.count; ++i) {
    Task* const task = group.open[i] ? task_at(group, i) : nullptr;
    if (task != nullptr) task->cancel();
  }
}

void free_group(Group& group) {
  if (group.open != nullptr) efree(group.open);
  zend_array_release(group.members);
}

// The completion value of a member that has completed. False after throwing.
bool value_of(const Group& group, uint32_t position, zval* value) {
  Task& task = *task_at(group, position);
  return decode_result(task, value);
}

enum class Until { All, FirstCompleted, FirstEnded };

void wait_for(zval* tasks, Until until, zval* return_value) {
  Group group{nullptr, nullptr, 0};
  if (!collect(tasks, group)) {
    free_group(group);
    return;
  }
  if (group.count == 0 && until != Until::All) {
    zend_argument_value_error(1, "must contain at least one Igor\\Task");
    free_group(group);
    return;
  }
  if (until == Until::All) ZVAL_ARR(return_value, zend_array_dup(group.members));  // keys and their order
  for (uint32_t left = group.count; left > 0; --left) {
    const Next next = wait_for_one(group);
    group.open[next.position] = false;
    if (next.how == Ended::Interrupted) {
      throw_interrupted();
      break;
    }
    if (next.how == Ended::Closed) {
      php_stream* closed;
      task_of_object(member(group, next.position), &closed);  // throws
      break;
    }
    if (next.how == Ended::Failed) {
      if (until == Until::FirstCompleted && left > 1) continue;
      throw_task_failed(task_at(group, next.position)->failure());
      break;
    }
    zval value;
    if (!value_of(group, next.position, &value)) break;
    if (until != Until::All) {
      ZVAL_COPY_VALUE(return_value, &value);
      break;
    }
    zval* const place = &Z_ARRVAL_P(return_value)->arData[next.position].val;
    zval_ptr_dtor(place);
    ZVAL_COPY_VALUE(place, &value);
  }
  cancel_open(group);
  free_group(group);
  if (EG(exception) && until == Until::All) {
    zval_ptr_dtor(return_value);
    ZVAL_NULL(return_value);
  }
}

void parse_and_wait(zend_execute_data* execute_data, zval* return_value, Until until) {
  zval* tasks;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_ITERABLE(tasks)
  ZEND_PARSE_PARAMETERS_END();
  wait_for(tasks, until, return_value);
}

}  // namespace

ZEND_METHOD(Igor_Task, all) {
  parse_and_wait(execute_data, return_value, Until::All);
}
ZEND_METHOD(Igor_Task, any) {
  parse_and_wait(execute_data, return_value, Until::FirstCompleted);
}
ZEND_METHOD(Igor_Task, race) {
  parse_and_wait(execute_data, return_value, Until::FirstEnded);
}
