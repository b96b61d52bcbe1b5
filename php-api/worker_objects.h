// Igor\Inbox and Igor\Job: a background worker's side, as classes.
#pragma once

#include "sapi/zend.h"

namespace igor::api {

void start_worker_classes(zend_class_entry* inbox, zend_class_entry* job);

}  // namespace igor::api
