// Copies a PHP value into a payload and back. What can cross: null, bool, int, float, string, arrays of
// these, and enum cases.
//
// encode() walks the value twice: once to check it and add up the exact size, once to write, so a payload
// is one allocation and nothing is allocated for a value that is refused. It holds no engine memory and
// runs no script code. A refusal throws ValueError naming the offending path.
//
// decode() makes everything anew in the calling thread's request memory: no string or array of the
// sender's thread is shared (opcache's immutable arrays neither: an opcache restart reuses their memory).
// It may run script code (autoloading an enum), throw, or bail out when memory_limit is reached, so the
// payload must be owned by something that outlives a bailout, never by a local of the caller.
//
// Threads: a PHP thread's own.
#pragma once

#include <cstddef>

#include "module/payload.h"
#include "sapi/zend.h"

namespace igor::sapi {

// Encodes `value` into `payload`. False after throwing ValueError: `root` (as in "$payload") begins the
// path; `limit` is the largest encoded size in bytes.
bool encode_payload(const zval* value, const char* root, size_t limit, Payload& payload);

// Makes the value of a payload. False after throwing: LogicException for an enum that this side does not
// know, RuntimeException for bytes that are no payload. `value` is then undefined and holds nothing.
bool decode_payload(const Payload& payload, zval* value);

}  // namespace igor::sapi
