/* The C ABI between Igor's C++ library (libigor) and its host, the Caddy plugin.
 *
 * What it is: the whole border. Go configures, serves HTTP, reads logs and reports through these
 * functions; sending, picking up, updating, reading and cancelling tasks never cross it.
 *
 * Rules: no function throws, longjmps or calls back into the caller. Objects are named by 64-bit
 * handles (index and generation): one that was released answers IGOR_GONE, never another's data; 0 is
 * never a handle. Structs start with their own size, so that either side may grow them. Functions that
 * can fail take the caller's error buffer; the text in it is UTF-8, NUL-terminated, cut at its end if
 * it must be, and says what to do. Every function may be called from any thread unless it says
 * otherwise. Strings going in are borrowed for the call only (pointer and length, no NUL needed).
 *
 * The header lives with the Go module because a Go module's zip holds only its own folder.
 */
#ifndef IGOR_H
#define IGOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define IGOR_NOEXCEPT noexcept
extern "C" {
#else
#define IGOR_NOEXCEPT
#endif

/* Raised by one with every change that an older caller would misread. */
#define IGOR_ABI_VERSION 3u

typedef uint64_t igor_handle;

typedef struct igor_str {
  const char *data; /* may be NULL when len is 0 */
  size_t len;
} igor_str;

typedef enum igor_status {
  IGOR_OK = 0,
  IGOR_INVALID = 1,  /* an argument is out of its range; the error buffer names it */
  IGOR_GONE = 2,     /* the handle is stale */
  IGOR_TIMEOUT = 3,  /* the time given ran out */
  IGOR_STATE = 4,    /* not now: engine not running, draining, or already started */
  IGOR_FAILED = 5,   /* the operation failed; the error buffer says why */
  IGOR_NO_MEMORY = 6,
  IGOR_MISMATCH = 7  /* header and library are of different builds */
} igor_status;

/* --- Version ---------------------------------------------------------------------------------- */

/* IGOR_OK when the library was built from this header; IGOR_MISMATCH with a sentence otherwise.
 * `abi_version` is IGOR_ABI_VERSION as the caller was compiled. */
igor_status igor_abi_check(uint32_t abi_version, char *error, size_t error_size) IGOR_NOEXCEPT;

/* Igor's version, and the PHP version it was linked with. Static storage. */
const char *igor_version(void) IGOR_NOEXCEPT;
const char *igor_php_version(void) IGOR_NOEXCEPT;

/* --- Engine ----------------------------------------------------------------------------------- */

typedef struct igor_engine_options {
  uint32_t size;         /* sizeof(igor_engine_options) */
  igor_str ini;          /* php.ini text ("key=value\n"...), overrides php.ini files; may be empty */
  uint32_t max_wait_ms;  /* a request that waits longer for an HTTP worker gets 503; 0: no bound */
  uint32_t spare_threads; /* threads that may be added under load, to all pools of HTTP workers together
                             and by the host's igor_spare_take(); 0 to 4096 */
  uint32_t max_idle_ms;  /* how long an added thread stays without a request; 0: 5000 */
  uint32_t max_requests; /* a thread's engine state is made afresh after so many requests; 0: never */
} igor_engine_options;

/* Starts PHP, once in a process's life at a time: IGOR_STATE when it already runs. The engine outlives
 * configuration reloads. */
igor_status igor_engine_start(const igor_engine_options *options, char *error, size_t error_size) IGOR_NOEXCEPT;

/* Refuses new requests, closes every generation that is still open, ends running requests within
 * `grace_ms`, and stops PHP. A thread that can't be ended is left behind (its memory too) and the
 * engine is then not torn down: IGOR_TIMEOUT. */
igor_status igor_engine_stop(uint32_t grace_ms) IGOR_NOEXCEPT;

/* --- Generations, scopes, pools ------------------------------------------------------------------ */

/* A generation is one configuration load. It owns scopes (one per php_server, and the global one),
 * which own pools. Building happens before it starts; closing drains those of its pools that no later
 * generation has taken over.
 *
 * With a predecessor (0: none), a pool that is added under the same scope label and name as one of the
 * predecessor's either *is* that one, threads, tasks and all, when its options and its entrypoint (file,
 * size, time of change) are the same; or it is its successor: tasks that no worker has claimed, counters
 * and the last snapshot move over to it when the predecessor closes. */
igor_status igor_generation_open(igor_handle predecessor, igor_handle *generation, char *error,
                                 size_t error_size) IGOR_NOEXCEPT;

/* `is_global` 1 makes the fallback scope of the generation (at most one). The label is for logs. */
igor_status igor_scope_open(igor_handle generation, igor_str label, int is_global, igor_handle *scope,
                            char *error, size_t error_size) IGOR_NOEXCEPT;

enum { IGOR_POOL_TASKS = 0, IGOR_POOL_REQUESTS = 1 }; /* background workers; HTTP workers */
enum { IGOR_DISPATCH_SHARED = 0, IGOR_DISPATCH_LEAST_BUSY = 1, IGOR_DISPATCH_ROUND_ROBIN = 2 };

typedef struct igor_pool_options {
  uint32_t size;
  igor_str name;          /* empty: the catch-all of its scope (tasks only). HTTP workers have names of
                             their own kind: a task is never sent to one */
  igor_str file;          /* absolute path of the entrypoint */
  igor_str env;           /* packed pairs, see "Packed pairs" below */
  uint32_t num;           /* threads started at boot; 0: the first call starts one */
  uint32_t max_threads;   /* upper bound of threads; 0: max(num, 1). For a catch-all: of names, 0: 16 */
  uint32_t queue;         /* accepted tasks that may wait for a worker */
  uint32_t overflow_reject; /* 1: a full pool refuses at once instead of blocking the sender */
  uint32_t updates;       /* places in a task's update FIFO; 0: 16 */
  uint64_t max_payload;   /* bytes of one encoded payload; 0: 64 MiB */
  uint64_t task_timeout_ms; /* wall-clock deadline of a task from its acceptance; 0: none */
  uint32_t stop_grace_ms; /* from "stop\n" to the VM interrupt */
  int32_t max_consecutive_failures; /* the breaker opens after so many; -1: never; 0: 6 */
  uint32_t backoff_min_ms; /* 0: 100 */
  uint32_t backoff_max_ms; /* 0: 10000 */
  uint32_t kind;          /* IGOR_POOL_* */
  uint32_t dispatch;      /* IGOR_DISPATCH_*: which of the waiting workers gets a task */
  uint64_t max_tasks;     /* a worker starts afresh after so many tasks or requests; 0: never */
  uint64_t max_memory;    /* or when its script holds more bytes than this between two of them; 0: never */
  uint32_t boot_timeout_ms; /* for a pool with num: until its workers are ready; 0: 60000 */
  uint32_t max_wait_ms;   /* HTTP workers: a request that waits longer gets 503; 0: as the engine's */
  igor_str ini;           /* php.ini text for this pool's scripts ("key=value\n"...); may be empty */
} igor_pool_options;

/* Two pools of one kind and name in a scope: IGOR_INVALID. `pool` names the pool of this generation, also
 * after it was restarted; may be NULL. It is stale when the generation closes. */
igor_status igor_pool_add(igor_handle scope, const igor_pool_options *options, igor_handle *pool, char *error,
                          size_t error_size) IGOR_NOEXCEPT;

/* Starts the pools that have `num`, and waits until each of their threads has asked for its first
 * signal or request. IGOR_FAILED (with the script's own error) when one failed
 * max_consecutive_failures times or was not ready within its boot_timeout; the caller then closes the
 * generation, and the predecessor goes on as it was. */
igor_status igor_generation_start(igor_handle generation, char *error, size_t error_size) IGOR_NOEXCEPT;

/* Once another generation is to stay in this one's place, which it has started to follow: background pools that stand there
 * in place of this one's take the tasks that nobody has taken, those that are still sent to these, and publish. Tasks that
 * run, and their workers, go on until this one closes. Pools that nobody follows go on as they are. Does not block. */
igor_status igor_generation_hand_over(igor_handle generation) IGOR_NOEXCEPT;

/* May be called while igor_generation_start() waits, and ends that wait.
 * Tells the pools that are only this generation's to stop, waits for each at most its grace and a bounded
 * end, and forgets them. Blocks. The handles of the generation, its scopes and pools are stale from then
 * on. Senders that wait get an error, unless the pool has a successor. IGOR_TIMEOUT: a thread had to be
 * left behind. */
igor_status igor_generation_close(igor_handle generation) IGOR_NOEXCEPT;

/* --- Operation ---------------------------------------------------------------------------------- */

enum {
  IGOR_POOL_PAUSE = 1,   /* hands out no more tasks; senders wait, and the queue fills. Tasks only */
  IGOR_POOL_RESUME = 2,  /* ends a pause or a drain */
  IGOR_POOL_RESTART = 3, /* makes a successor of the same options, waits until its workers are ready (when
                            the pool has any), lets it take over, and tells the old ones to stop */
  IGOR_POOL_DRAIN = 4    /* a pause, and the workers finish what they hold and end. Tasks only */
};
/* Blocks for as long as the action takes (RESTART: the boot; the old workers' end is not waited for).
 * IGOR_FAILED with a sentence: the new workers did not start, and the old ones go on. */
igor_status igor_pool_control(igor_handle pool, int action, char *error, size_t error_size) IGOR_NOEXCEPT;

/* Tells one worker of the pool to stop and starts it again. IGOR_GONE: no such worker. */
igor_status igor_worker_restart(igor_handle pool, uint32_t worker, char *error, size_t error_size) IGOR_NOEXCEPT;

/* Cancels a task as its sender would; the sender's read says so. IGOR_GONE: no such task, or it has
 * ended. `task` is the id that logs and reports show. */
igor_status igor_task_cancel(igor_handle generation, uint64_t task) IGOR_NOEXCEPT;

/* What the generation's pools and the HTTP threads are and have done, as one JSON document; its members
 * are described in docs/reference/report.md. Consistent per pool, not between pools. Free it with
 * igor_free(). */
igor_status igor_report(igor_handle generation, char **json, size_t *size) IGOR_NOEXCEPT;
void igor_free(void *memory) IGOR_NOEXCEPT;

/* --- HTTP requests ---------------------------------------------------------------------------- */

/* Packed pairs: key and value strings, each as a 4-byte length in host order followed by its bytes,
 * one after the other: key, value, key, value... The end of the buffer is the end of the list. */

typedef struct igor_request_options {
  uint32_t size;
  igor_handle scope;        /* where worker names resolve; 0: none */
  igor_handle worker;       /* the pool of HTTP workers that answers; 0: a thread runs the script */
  igor_str script_filename; /* absolute path of the script; a worker's entrypoint */
  igor_str method;
  igor_str request_uri;     /* as sent, with the query */
  igor_str query;           /* without '?' */
  igor_str content_type;
  igor_str cookie;          /* the Cookie header(s), joined with "; " */
  int64_t content_length;   /* -1: unknown (chunked); 0: no body */
  igor_str authorization;   /* the Authorization header: PHP_AUTH_USER, PHP_AUTH_PW, PHP_AUTH_DIGEST */
  igor_str server_vars;     /* packed pairs: all of $_SERVER that comes from the host, in order */
  igor_str env;             /* packed pairs: what getenv() and $_ENV see besides the process's own */
  igor_str request_headers; /* packed pairs: names as sent (canonical case), for getallheaders() */
  int is_http1_0;
  igor_str body;            /* what the host has read of the body already; may be empty */
  int body_whole;           /* 1: that is all of it */
  int attended;             /* 1: the host calls igor_request_next() from the start. 0 is the fast way: its token
                               says when */
  uint64_t token;           /* for igor_attention_take(); not looked at */
  uint32_t max_wait_ms;     /* for an HTTP worker: answer 503 after so long; 0: as the pool says */
} igor_request_options;

/* Makes a request. One for a pool of HTTP workers is queued there, and igor_request_next() follows: at once when it
 * is attended, and otherwise when its token comes, or max_wait_ms after this at the latest, if it is set, because it
 * is the caller who sees to that bound. Any other is run by igor_request_run(). All strings are copied (one block).
 * IGOR_STATE while the engine is not running: answer 503. Release the handle when done. */
igor_status igor_request_start(const igor_request_options *options, igor_handle *request) IGOR_NOEXCEPT;

enum {
  IGOR_EVENT_NONE = 0,    /* from igor_request_run() alone */
  IGOR_EVENT_INPUT = 1,   /* PHP wants up to `input_wanted` bytes of the request body */
  IGOR_EVENT_OUTPUT = 2,  /* headers and/or body to send now; flush to the client when FLUSH is set */
  IGOR_EVENT_FINISHED = 3 /* the response is complete (may carry the last headers and body) */
};
enum {
  IGOR_EVENT_HAS_HEADERS = 1, /* status and headers are in this event (once per request; informational
                                 1xx responses come as events of their own, before it) */
  IGOR_EVENT_FLUSH = 2,
  IGOR_EVENT_INFORMATIONAL = 4, /* a 1xx answer: send it, the real headers follow later */
  /* Finished without running: 503. `body` says why, for the log (the worker keeps failing, or shuts down); empty: no
   * thread within max_wait. After headers were given: the rest of the response is lost, for want of memory, and the
   * connection must be cut. */
  IGOR_EVENT_REFUSED = 8
};
typedef struct igor_event {
  uint32_t size;
  uint32_t kind;
  uint32_t flags;
  uint32_t status;        /* HTTP status code, with HAS_HEADERS or INFORMATIONAL */
  igor_str headers;       /* packed pairs: names and values, in order, repeated names kept */
  igor_str body;
  uint64_t input_wanted;
} igor_event;

enum {
  IGOR_INPUT_NONE = 0,  /* this call carries no input */
  IGOR_INPUT_DATA = 1,  /* `input` is the next piece of the body */
  IGOR_INPUT_END = 2,   /* the body has ended (the call may carry its last piece) */
  IGOR_INPUT_ERROR = 3  /* the body could not be read: the client is gone */
};

/* Runs the request's script on the calling thread, which must have a stack of megabytes, and returns when
 * it is over. Most requests need nobody until then: their one event, FINISHED, is in `event`, valid until
 * the handle is released. One that needs its caller earlier (it flushes, prints much, reads a body of which
 * the host gave only a part, completes its response before it ends, or was made as attended) has its
 * token put where igor_attention_take() finds it; from then on another thread of the host must call
 * igor_request_next() until FINISHED, and the event here is NONE. How many threads are in here at once is
 * the host's to bound. Signals are blocked meanwhile, and the thread keeps PHP's state for the next call. */
igor_status igor_request_run(igor_handle request, igor_event *event) IGOR_NOEXCEPT;

/* Asks for one of the engine's spare_threads, for one more thread in igor_request_run(), when a request had to
 * wait for its turn. IGOR_OK: taken, until igor_spare_put_back(). IGOR_STATE: there is none left, or this
 * process keeps the CPUs busy as it is; worth asking again some 20 ms later. */
igor_status igor_spare_take(void) IGOR_NOEXCEPT;
void igor_spare_put_back(void) IGOR_NOEXCEPT;

/* Requests that need their caller, by their tokens. The descriptor, an eventfd that does not block, is readable when
 * there may be some; it stays the library's and is the same for the life of the process. The host waits for it, reads
 * its eight bytes (or has itself told of each write instead, as EPOLLET does), and then takes until there are none.
 * IGOR_GONE after igor_attention_close(), once all were taken; igor_engine_start() opens the queue again. Taking never
 * blocks. One thread at a time. */
igor_status igor_attention_fd(int *fd) IGOR_NOEXCEPT;
igor_status igor_attention_take(uint64_t *tokens, size_t room, size_t *count) IGOR_NOEXCEPT;
void igor_attention_close(void) IGOR_NOEXCEPT;

/* Hands over what the last event asked for and blocks until the next. The strings in the event stay
 * valid until the next call for this request. One thread at a time per request. After FINISHED it
 * answers IGOR_STATE. */
igor_status igor_request_next(igor_handle request, int input_kind, igor_str input, igor_event *event) IGOR_NOEXCEPT;

/* The client has gone: PHP sees connection_aborted() at its next output; input ends. A request that no thread
 * has taken yet is refused. The events go on until FINISHED. Harmless after the end. */
igor_status igor_request_abort(igor_handle request) IGOR_NOEXCEPT;

/* Gives the handle up. A script that still runs (fastcgi_finish_request) goes on without it; one that
 * has not finished its response is aborted. */
igor_status igor_request_release(igor_handle request) IGOR_NOEXCEPT;

/* --- Logs ---------------------------------------------------------------------------------------- */

enum { IGOR_LOG_DEBUG = -4, IGOR_LOG_INFO = 0, IGOR_LOG_WARN = 4, IGOR_LOG_ERROR = 8 }; /* slog levels */

typedef struct igor_log_record {
  uint32_t size;
  int32_t level;         /* any int; the names above are the usual ones */
  int64_t time_unix_ns;
  igor_str logger;       /* "php" (a script's message), "worker", "engine" */
  igor_str message;
  igor_str fields;       /* packed pairs, e.g. worker, thread, task, file, line, url */
  igor_str context_json; /* frankenphp_log()'s context array as a JSON object; may be empty */
  uint64_t dropped;      /* records lost to a full queue since the last one read */
} igor_log_record;

/* Blocks until there is a record (valid until this thread's next call) or `timeout_ms` has passed
 * (IGOR_TIMEOUT). IGOR_GONE after igor_log_close() once all records were read; igor_engine_start() opens the log
 * again. One reader at a time. */
igor_status igor_log_next(uint32_t timeout_ms, igor_log_record *record) IGOR_NOEXCEPT;
void igor_log_close(void) IGOR_NOEXCEPT;

/* --- Command line ------------------------------------------------------------------------------- */

/* `php-cli`: runs a script on this SAPI, as PHP's own CLI would. Takes over the calling thread and the
 * process (must not be mixed with a started engine). Returns the exit status. argv[0] is the program. */
int igor_cli_main(int argc, char **argv) IGOR_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
