// Copies a PHP value into a payload and back. What can cross: null, bool, int, float, string, arrays of
// these, and enum cases.
//
// encode() walks the value twice: once to check it and add up the exact size, once to write, so a payload
// is one allocation and nothing is allocated for a value that is refused. It holds no engine memory and
// runs no script code. A refusal throws ValueError naming the offending path.
//
// decode() makes everything anew in the calling thread's request memory: no string or array of the
// sender's thread is shared (opcache's immutable arrays neither: an opcache restart reuses their memory).
// It may run script code (autoloading an enum), which may do anything: close the stream that the payload
// came from, read the next one, suspend its Fiber. It may throw, or bail out when memory_limit is reached.
// So the payload must be owned by something that outlives all that, never by a local of the caller;
// consume() is that something for payloads that are read once.
//
// Threads: a PHP thread's own.
#pragma once

#include <cstddef>

#include "module/clock.h"
#include "module/payload.h"
#include "sapi/zend.h"

namespace igor::sapi {

// Who gets a payload. Told once, while it is being encoded, of one that takes about as long as it takes to wake:
// Wakeup::announce(). It may still be refused.
struct PayloadReceiver {
  void (*announce)(void* who, Duration soon) = nullptr;  // null: nobody is to be told
  void* who = nullptr;

  // A pool for its next worker, a task for its sender. Must live until the payload is encoded.
  template <typename Who>
  static PayloadReceiver of(Who& who) noexcept {
    return {[](void* told, Duration soon) { static_cast<Who*>(told)->announce(soon); }, &who};
  }
};

// Encodes `value` into `payload`. False after throwing ValueError: `root` (as in "$payload") begins the
// path; `limit` is the largest encoded size in bytes.
bool encode_payload(const zval* value, const char* root, size_t limit, Payload& payload, PayloadReceiver receiver = {});

// Makes the value of a payload. False after throwing: LogicException for an enum that this side does not
// know, RuntimeException for bytes that are no payload. `value` is then undefined and holds nothing.
bool decode_payload(const Payload& payload, zval* value);

// The same for a payload that nobody needs afterwards: takes its bytes (it is left empty) and frees them
// when the value is made. What a bailout leaves behind is freed at the end of the run, by the call below.
bool consume_payload(Payload& payload, zval* value);

// At the end of each run of a script on this thread.
void drop_consumed_payloads() noexcept;

}  // namespace igor::sapi
