// What Igor's stream types have in common.
#pragma once

#include "sapi/zend.h"

namespace igor::api {

// Hands a descriptor to whoever casts a stream. Warns in the log, once, when descriptors come near the
// number from which stream_select() refuses them (FD_SETSIZE). FAILURE with a PHP warning for -1 (errno).
int give_descriptor(int fd, void** result);

}  // namespace igor::api
