/* The few lines of C between Go and igor.h.
 *
 * Go may hand C a pointer to Go memory only when that memory holds no Go pointers itself, and a pool's or a request's
 * options are full of them. So Go packs all strings of a call into one block without pointers and says where each lies;
 * these functions turn offsets into igor_str and make the real call. They keep nothing.
 */
#ifndef IGOR_SHIM_H
#define IGOR_SHIM_H

#include "igor.h"

/* A piece of the block: bytes [begin, end). */
typedef struct shim_span {
  uint32_t begin;
  uint32_t end;
} shim_span;

enum {
  SHIM_SCRIPT_FILENAME,
  SHIM_METHOD,
  SHIM_REQUEST_URI,
  SHIM_QUERY,
  SHIM_CONTENT_TYPE,
  SHIM_COOKIE,
  SHIM_AUTHORIZATION,
  SHIM_SERVER_VARS,
  SHIM_ENV,
  SHIM_REQUEST_HEADERS,
  SHIM_BODY,
  SHIM_REQUEST_FIELDS
};

typedef struct shim_request {
  igor_handle scope;
  igor_handle worker;
  int64_t content_length;
  int is_http1_0;
  int body_whole, attended;
  uint64_t token;
  uint32_t max_wait_ms;
  shim_span fields[SHIM_REQUEST_FIELDS];
} shim_request;

static inline igor_str shim_str(const char *block, shim_span span) {
  igor_str s = {block + span.begin, span.end - span.begin};
  return s;
}

static inline igor_status shim_request_start(const shim_request *request, const char *block, igor_handle *handle) {
  igor_request_options o = {0};
  o.size = sizeof o;
  o.scope = request->scope;
  o.worker = request->worker;
  o.script_filename = shim_str(block, request->fields[SHIM_SCRIPT_FILENAME]);
  o.method = shim_str(block, request->fields[SHIM_METHOD]);
  o.request_uri = shim_str(block, request->fields[SHIM_REQUEST_URI]);
  o.query = shim_str(block, request->fields[SHIM_QUERY]);
  o.content_type = shim_str(block, request->fields[SHIM_CONTENT_TYPE]);
  o.cookie = shim_str(block, request->fields[SHIM_COOKIE]);
  o.authorization = shim_str(block, request->fields[SHIM_AUTHORIZATION]);
  o.server_vars = shim_str(block, request->fields[SHIM_SERVER_VARS]);
  o.env = shim_str(block, request->fields[SHIM_ENV]);
  o.request_headers = shim_str(block, request->fields[SHIM_REQUEST_HEADERS]);
  o.content_length = request->content_length;
  o.is_http1_0 = request->is_http1_0;
  o.body = shim_str(block, request->fields[SHIM_BODY]);
  o.body_whole = request->body_whole;
  o.attended = request->attended;
  o.token = request->token;
  o.max_wait_ms = request->max_wait_ms;
  return igor_request_start(&o, handle);
}

static inline igor_status shim_request_run(igor_handle handle, igor_event *event) {
  event->size = sizeof *event;
  return igor_request_run(handle, event);
}

static inline igor_status shim_request_next(igor_handle handle, int kind, const char *input, size_t len,
                                            igor_event *event) {
  igor_str s = {input, len};
  event->size = sizeof *event;
  return igor_request_next(handle, kind, s, event);
}

/* igor_engine_options without its string. */
typedef struct shim_engine {
  uint32_t spare_threads, max_wait_ms, max_idle_ms, max_requests;
} shim_engine;

static inline igor_status shim_engine_start(const shim_engine *engine, const char *ini, size_t ini_len, char *error,
                                            size_t error_size) {
  igor_engine_options o = {0};
  o.size = sizeof o;
  o.spare_threads = engine->spare_threads;
  o.max_wait_ms = engine->max_wait_ms;
  o.max_idle_ms = engine->max_idle_ms;
  o.max_requests = engine->max_requests;
  o.ini.data = ini;
  o.ini.len = ini_len;
  return igor_engine_start(&o, error, error_size);
}

static inline igor_status shim_scope_open(igor_handle generation, const char *label, size_t label_len, int is_global,
                                          igor_handle *scope, char *error, size_t error_size) {
  igor_str s = {label, label_len};
  return igor_scope_open(generation, s, is_global, scope, error, error_size);
}

/* igor_pool_options without its strings, which lie one after the other in the block: name, file, env, ini. */
typedef struct shim_pool {
  uint32_t name_len, file_len, env_len, ini_len;
  uint32_t kind, dispatch;
  uint64_t max_tasks, max_memory;
  uint32_t boot_timeout_ms, max_wait_ms;
  uint32_t num, max_threads, queue, overflow_reject, updates;
  uint64_t max_payload, task_timeout_ms;
  uint32_t stop_grace_ms;
  int32_t max_consecutive_failures;
  uint32_t backoff_min_ms, backoff_max_ms;
} shim_pool;

static inline igor_status shim_pool_add(igor_handle scope, const shim_pool *pool, const char *block,
                                        igor_handle *handle, char *error, size_t error_size) {
  igor_pool_options o = {0};
  o.size = sizeof o;
  o.name.data = block;
  o.name.len = pool->name_len;
  o.file.data = block + pool->name_len;
  o.file.len = pool->file_len;
  o.env.data = block + pool->name_len + pool->file_len;
  o.env.len = pool->env_len;
  o.ini.data = o.env.data + pool->env_len;
  o.ini.len = pool->ini_len;
  o.kind = pool->kind;
  o.dispatch = pool->dispatch;
  o.max_tasks = pool->max_tasks;
  o.max_memory = pool->max_memory;
  o.boot_timeout_ms = pool->boot_timeout_ms;
  o.max_wait_ms = pool->max_wait_ms;
  o.num = pool->num;
  o.max_threads = pool->max_threads;
  o.queue = pool->queue;
  o.overflow_reject = pool->overflow_reject;
  o.updates = pool->updates;
  o.max_payload = pool->max_payload;
  o.task_timeout_ms = pool->task_timeout_ms;
  o.stop_grace_ms = pool->stop_grace_ms;
  o.max_consecutive_failures = pool->max_consecutive_failures;
  o.backoff_min_ms = pool->backoff_min_ms;
  o.backoff_max_ms = pool->backoff_max_ms;
  return igor_pool_add(scope, &o, handle, error, error_size);
}

static inline igor_status shim_log_next(uint32_t timeout_ms, igor_log_record *record) {
  record->size = sizeof *record;
  return igor_log_next(timeout_ms, record);
}

#endif
