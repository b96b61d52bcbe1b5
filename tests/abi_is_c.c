/* Compiled as strict C11 by the build: proof that the header between the C++ library and its host is C,
 * needs nothing included before it, and keeps the layout rules that it promises. */
#include "caddy-plugin/bridge/igor.h"

/* A struct that may grow starts with its own size. */
_Static_assert(offsetof(igor_engine_options, size) == 0, "size comes first");
_Static_assert(offsetof(igor_pool_options, size) == 0, "size comes first");
_Static_assert(offsetof(igor_request_options, size) == 0, "size comes first");
_Static_assert(offsetof(igor_event, size) == 0, "size comes first");
_Static_assert(offsetof(igor_log_record, size) == 0, "size comes first");

/* A handle is 64 bits on every machine, whatever a pointer is. */
_Static_assert(sizeof(igor_handle) == 8, "a handle is 64 bits");

/* Success is zero, so that `if (status)` reads as "if it failed". */
_Static_assert(IGOR_OK == 0, "success is zero");

/* An external declaration: C11 does not allow a translation unit without one. */
extern int igor_abi_is_c;
