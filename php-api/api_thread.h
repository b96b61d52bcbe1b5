// What the API keeps per PHP thread: the things that a bailout must not lose hold of, the signaling
// stream of the running script, and the snapshots that it has read.
//
// A bailout skips C++ destructors, so values that own memory and live across calls into the engine are
// kept here instead of in locals; end_request() (the extension's request shutdown) drops what is left.
//
// A run of a script is one request, except in HTTP worker mode, where a run serves many: there the host
// calls turn_http_request() on both edges of each of them, because names may mean other workers in the
// next one (it can come from another php_server, or after a reload).
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "module/failure.h"
#include "module/origin.h"
#include "module/payload.h"
#include "module/pool.h"
#include "sapi/php_thread.h"
#include "sapi/zend.h"

namespace igor::api {

// A snapshot as this script has read it: while it is the latest, the same array is given out again.
//
// A script in HTTP worker mode keeps what it has decoded from one request to the next, without name and pool: in the
// next one another name may stand for it.
struct CachedVars {
  std::string name;
  std::shared_ptr<Pool> pool;                // null: of an earlier request
  std::weak_ptr<const SnapshotStore> store;  // the pool's; gone with all pools that share it
  Ref<const Snapshot> snapshot;              // while it is decoded
  zval value = {};                           // undefined until it is decoded
  uint64_t version = 0;                      // of the snapshot that the value was made of
  int kept = 0;                              // snapshots whose image was given out
  // Decoding may load a class, and that code may read the same name again and find a newer snapshot: the
  // one that is being decoded then waits here.
  int decoding = 0;
  std::vector<Ref<const Snapshot>> replaced = {};

  // Another thread may have made the latest snapshot; one that was drained with its configuration has none to come.
  bool up_to_date() const noexcept { return Z_TYPE(value) == IS_ARRAY && version == pool->snapshots().version(); }
  // Of an earlier request, whether one to come may want it.
  bool worth_keeping() const noexcept {
    const auto there = store.lock();
    return there && Z_TYPE(value) == IS_ARRAY && version == there->version();
  }
  void drop_value() noexcept;
};

struct ApiThread {
  std::shared_ptr<Pool> pool;   // that a task is being sent to
  Ref<const Origin> origin;     // of the tasks that are sent from here; made with the first, shared by all
  Payload payload;              // on its way in or out
  Failure failure;              // being turned into an exception
  zval signal_stream = {};      // undefined until it is asked for
  std::deque<CachedVars> vars;  // a deque: reading one may run code that reads others

  static ApiThread& current() noexcept;
  void begin_request();
  void end_request();
  // HTTP worker mode: called with no request in hand, before the next one is taken up and after one was
  // answered. Forgets what belongs to one request: by which names it has read snapshots, and where its tasks come
  // from. Runs no script code and cannot bail out.
  void turn_http_request();

 private:
  void drop_vars();
};

// Whether this is a forked child, where there are no workers; true after throwing RuntimeException.
bool in_forked_child();

// The thread as the host knows it. Null after throwing RuntimeException where the host did not make it.
sapi::PhpThread* require_thread(const char* function);

// The slot of a background worker. Null after throwing RuntimeException anywhere else.
WorkerSlot* require_worker(const char* function);

}  // namespace igor::api
