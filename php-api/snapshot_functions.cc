// frankenphp_worker_set_vars(), frankenphp_worker_get_vars() and Igor\Inbox::publish().
//
// The script of a classic request is given the snapshot's image, which all threads share (sapi/snapshot_image.h);
// others decode it. Reading it again within a script costs a comparison of versions: the array is kept with the thread
// and given out again until a newer snapshot exists. What PHP code does to it, it does to a copy of its own.
#include <ext/spl/spl_exceptions.h>

#include <algorithm>

#include "module/activity.h"
#include "module/worker_slot.h"
#include "php-api/no_memory.h"
#include "php-api/task_failed.h"
#include "php-api/task_sending.h"
#include "sapi/payload_codec.h"
#include "sapi/snapshot_image.h"

using namespace igor;
using namespace igor::api;

namespace {

bool publish_payload(WorkerSlot& slot, Payload& payload) noexcept {
  activity::idle_end();
  return fits([&] { slot.pool().publish(slot, std::move(payload)); });
}

void publish(const char* function, const zval* vars) {
  WorkerSlot* const slot = require_worker(function);
  if (slot == nullptr) return;
  Payload& payload = ApiThread::current().payload;
  if (!sapi::encode_payload(vars, "$vars", slot->options().max_payload, payload)) return;
  if (!publish_payload(*slot, payload)) throw_no_memory();
}

CachedVars* find_cached(ApiThread& state, const zend_string* name) {
  for (CachedVars& cached : state.vars) {
    if (cached.pool && cached.name == std::string_view(ZSTR_VAL(name), ZSTR_LEN(name))) return &cached;
  }
  return nullptr;
}

// Keeps the pool that was found under the name, with what an earlier request of this script has read of it. Null
// without memory.
CachedVars* cache_pool(ApiThread& state, const zend_string* name) noexcept {
  const auto store = state.pool->snapshot_store();
  const auto earlier = std::find_if(state.vars.begin(), state.vars.end(), [&](const CachedVars& cached) {
    return cached.pool == nullptr && cached.decoding == 0 && cached.store.lock() == store;
  });
  CachedVars* cached = earlier == state.vars.end() ? nullptr : &*earlier;
  const bool kept = fits([&] {
    if (cached == nullptr) cached = &state.vars.emplace_back();
    cached->name.assign(ZSTR_VAL(name), ZSTR_LEN(name));
  });
  if (!kept) return nullptr;  // a place without a name is nobody's
  cached->pool = std::move(state.pool);
  cached->store = store;
  if (!cached->up_to_date()) cached->drop_value();  // now, not beside the next one
  return cached;
}

// Makes the latest snapshot the one at hand, if there is one: then nobody has to wait, nor to start the worker.
bool take_latest(CachedVars& cached) noexcept {
  if (cached.decoding > 0) return false;
  Ref<const Snapshot> latest = cached.pool->snapshots().latest();
  if (!latest) return false;
  cached.snapshot = std::move(latest);
  return true;
}

// The blocking part: no call into the engine in here.
SendReport look_or_throw(ApiThread& state, CachedVars& cached, TimePoint deadline, Interrupt* interrupt) {
  activity::idle_end();
  Pool::Look found = cached.pool->look(deadline, interrupt);
  SendReport report(found.result);
  if (found.snapshot) {
    if (cached.decoding > 0) cached.replaced.push_back(std::move(cached.snapshot));
    cached.snapshot = std::move(found.snapshot);
    return report;
  }
  report.failures = found.failures;
  report.say(found.detail);
  state.failure = std::move(found.failure);
  return report;
}

SendReport look(ApiThread& state, CachedVars& cached, TimePoint deadline, Interrupt* interrupt) {
  SendReport report(Pool::SendResult::NoThread);
  if (!fits([&] { report = look_or_throw(state, cached, deadline, interrupt); })) {
    report.say("the server has run out of memory");
  }
  return report;
}

// False after throwing.
bool await_first(ApiThread& state, CachedVars& cached, const zend_string* name, TimePoint deadline) {
  const SendReport report = look(state, cached, deadline, &sapi::PhpThread::current()->interrupt);
  if (report.result == Pool::SendResult::Accepted) return true;
  if (report.result == Pool::SendResult::TimedOut) {
    zend_throw_exception_ex(spl_ce_RuntimeException, 0,
                            "timeout waiting for background worker \"%s\" to publish its vars", ZSTR_VAL(name));
  } else {
    throw_refusal(report, name, state.failure);
  }
  return false;
}

// A script that goes on for long and looks all the time would keep one snapshot after the other: those after these
// it decodes.
constexpr int kMostKept = 8;

// The image of the snapshot at hand, for a script that is over soon. Null: it is to be decoded.
const zval* shared_value(sapi::PhpThread& thread, CachedVars& cached) {
  if (thread.slot != nullptr || cached.kept == kMostKept) return nullptr;
  const sapi::SnapshotImage* const image = sapi::SnapshotImage::of(*cached.snapshot);
  if (image == nullptr || !fits([&] { thread.keep(cached.snapshot); })) return nullptr;
  ++cached.kept;
  return &image->value();
}

void replace_value(CachedVars& cached, const zval& value, uint64_t version) {
  cached.version = version;
  zval old;
  ZVAL_COPY_VALUE(&old, &cached.value);
  ZVAL_COPY_VALUE(&cached.value, &value);
  zval_ptr_dtor(&old);
}

// The worker's latest snapshot as a value that the cache owns. Null after throwing.
zval* vars_of(sapi::PhpThread& thread, zend_string* name, TimePoint deadline) {
  ApiThread& state = ApiThread::current();
  CachedVars* cached = find_cached(state, name);
  if (cached == nullptr) {
    if (!valid_worker_name(name) || !find_pool(state, thread, name)) return nullptr;
    if ((cached = cache_pool(state, name)) == nullptr) {
      throw_no_memory();
      return nullptr;
    }
  }
  if (cached->up_to_date()) return &cached->value;
  if (!take_latest(*cached) && !await_first(state, *cached, name, deadline)) return nullptr;
  const uint64_t version = cached->snapshot->version();
  if (const zval* const shared = shared_value(thread, *cached)) {
    replace_value(*cached, *shared, version);
    if (cached->decoding == 0) cached->snapshot = nullptr;
    return &cached->value;
  }
  ++cached->decoding;
  zval value;
  const bool whole = sapi::decode_payload(cached->snapshot->payload(), &value);
  if (--cached->decoding == 0) {
    cached->replaced.clear();
    cached->snapshot = nullptr;
  }
  if (!whole) return nullptr;
  if (cached->version > version) {  // a newer one was read meanwhile
    zval_ptr_dtor(&value);
    return &cached->value;
  }
  replace_value(*cached, value, version);
  return &cached->value;
}

}  // namespace

ZEND_FUNCTION(frankenphp_worker_set_vars) {
  zval* vars;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_ARRAY(vars)
  ZEND_PARSE_PARAMETERS_END();
  publish("frankenphp_worker_set_vars", vars);
}

ZEND_METHOD(Igor_Inbox, publish) {
  zval* vars;
  ZEND_PARSE_PARAMETERS_START(1, 1)
  Z_PARAM_ARRAY(vars)
  ZEND_PARSE_PARAMETERS_END();
  publish("Igor\\Inbox::publish", vars);
}

ZEND_FUNCTION(frankenphp_worker_get_vars) {
  zend_string* name;
  HashTable* names;
  double timeout = 30.0;
  ZEND_PARSE_PARAMETERS_START(1, 2)
  Z_PARAM_ARRAY_HT_OR_STR(names, name)
  Z_PARAM_OPTIONAL
  Z_PARAM_DOUBLE(timeout)
  ZEND_PARSE_PARAMETERS_END();

  sapi::PhpThread* const thread = require_thread("frankenphp_worker_get_vars");
  TimePoint deadline;
  if (thread == nullptr || !deadline_of_argument(2, timeout, deadline)) RETURN_THROWS();
  if (name != nullptr) {
    const zval* const value = vars_of(*thread, name, deadline);
    if (value == nullptr) RETURN_THROWS();
    RETURN_COPY(value);
  }
  array_init_size(return_value, zend_hash_num_elements(names));
  zval* one;
  ZEND_HASH_FOREACH_VAL(names, one) {
    ZVAL_DEREF(one);
    if (Z_TYPE_P(one) != IS_STRING) {
      zend_argument_type_error(1, "must contain only names of workers as strings, %s given", zend_zval_value_name(one));
      RETURN_THROWS();
    }
    // Held: an autoloader that decoding calls may change what a reference in the list refers to.
    zend_string* const key = zend_string_copy(Z_STR_P(one));
    zval* const value = vars_of(*thread, key, deadline);
    if (value != nullptr) {
      Z_TRY_ADDREF_P(value);  // an empty array is the engine's own, which counts nothing
      zend_symtable_update(Z_ARRVAL_P(return_value), key, value);
    }
    zend_string_release(key);
    if (value == nullptr) RETURN_THROWS();
  }
  ZEND_HASH_FOREACH_END();
}
