#include "php-api/api_thread.h"

#include <ext/spl/spl_exceptions.h>

#include <algorithm>

namespace igor::api {

ApiThread& ApiThread::current() noexcept {
  thread_local ApiThread state;
  return state;
}

// A request that the engine could not end leaves a value behind whose memory is gone.
void ApiThread::begin_request() {
  ZVAL_UNDEF(&signal_stream);
  vars.clear();
  origin = nullptr;
}

void ApiThread::end_request() {
  pool.reset();
  payload.reset();
  failure = {};
  zval_ptr_dtor(&signal_stream);
  ZVAL_UNDEF(&signal_stream);
  origin = nullptr;
  drop_vars();
}

void CachedVars::drop_value() noexcept {
  // Plain values and enum cases: letting go of them calls nobody.
  zval_ptr_dtor(&value);
  ZVAL_UNDEF(&value);
}

void ApiThread::drop_vars() {
  for (CachedVars& cached : vars) cached.drop_value();
  vars.clear();
}

void ApiThread::turn_http_request() {
  origin = nullptr;
  bool in_use = false;
  for (CachedVars& cached : vars) {
    cached.pool.reset();  // found by no name any more
    if (cached.decoding > 0) in_use = true;
    if (!cached.worth_keeping()) cached.drop_value();
  }
  // An autoloader may have come here while a snapshot was decoded below it: that one's place must stay.
  if (!in_use) std::erase_if(vars, [](const CachedVars& cached) { return Z_TYPE(cached.value) == IS_UNDEF; });
}

bool in_forked_child() {
  if (!sapi::PhpThread::in_forked_child()) return false;
  zend_throw_exception(spl_ce_RuntimeException, "background workers cannot be used in a forked child process", 0);
  return true;
}

sapi::PhpThread* require_thread(const char* function) {
  if (in_forked_child()) return nullptr;
  sapi::PhpThread* const thread = sapi::PhpThread::current();
  if (thread == nullptr) {
    zend_throw_exception_ex(spl_ce_RuntimeException, 0, "%s() needs a thread of the igor server", function);
  }
  return thread;
}

WorkerSlot* require_worker(const char* function) {
  if (in_forked_child()) return nullptr;
  const sapi::PhpThread* const thread = sapi::PhpThread::current();
  if (thread != nullptr && thread->slot != nullptr && thread->http_worker == nullptr) return thread->slot;
  zend_throw_exception_ex(spl_ce_RuntimeException, 0, "%s() can only be called in a background worker", function);
  return nullptr;
}

}  // namespace igor::api
