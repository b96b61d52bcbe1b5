// The PHP extension `igor`: functions, classes and stream types that scripts see (igor.stub.php), as one
// module that the host links in statically.
//
// Threads: its start-up and shutdown run on the engine's main thread; everything else on PHP threads.
#pragma once

#include "sapi/zend.h"

extern zend_module_entry igor_module_entry;
