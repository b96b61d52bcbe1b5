// Igor\Task: a task as its sender sees it, and waiting for several of them.
#pragma once

#include "sapi/zend.h"

namespace igor::api {

extern zend_class_entry* task_class;

void start_task_class(zend_class_entry* task, zend_class_entry* task_state);

}  // namespace igor::api
