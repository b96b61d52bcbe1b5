// One HTTP request, and the exchange between the two sides that work on it: the caller (the web server, which
// owns the connection) and the PHP thread that runs the script.
//
// Shape: the caller asks for events and sleeps in next(); the PHP thread fills a private buffer without
// any lock and publishes it when it is flushed, large enough or final. So a small response is one event:
// headers, body and end. Nothing here calls the caller: a script may run on a Fiber's stack, from which no
// call into the host's language may be made.
//
// An unattended request has no caller in next(). One that runs on the caller's own thread (HttpRunner) has the one
// event of a small response taken from it there, after the script; one that a worker answers calls for its caller
// when its response is complete. When it needs its caller before, it calls for him then. It does so once (see
// AttentionQueue), and is attended for the rest of its life.
//
// Both directions are bounded. The body of the request is asked for as the script reads it; output
// beyond kOutputBound blocks the script until the caller took some. Every such wait ends as well when
// the client is gone (abort), the caller gave up (give_up) or the response is over.
//
// Out of memory: making a request and handing it input throw std::bad_alloc. A response of which a part found no memory
// is worthless: the caller learns of a 500, or, when it has sent a part already, that it must cut the connection.
//
// Threads: the methods say whose they are. One caller thread at a time. abort() from any thread.
// Locks: one mutex, a leaf; never held across a call into the engine. Lifetime: shared (Ref) between the
// caller's handle, the queue and the PHP thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "module/ref.h"
#include "sapi/php_thread.h"

namespace igor::sapi {

class RequestHolder;

// What the caller knows of the request. Strings are borrowed for the constructor's time.
struct HttpRequestOptions {
  std::string_view script_filename;
  std::string_view method;
  std::string_view request_uri;
  std::string_view query;
  std::string_view content_type;
  std::string_view cookie;
  std::string_view authorization;
  int64_t content_length = -1;           // -1: unknown; 0: no body
  std::string_view server_vars;          // packed pairs
  std::string_view env;                  // packed pairs
  std::string_view request_headers;      // packed pairs
  std::string_view body;                 // what the caller has read of the body so far
  bool body_whole = false;               // and that is all of it
  bool attended = true;                  // the caller waits in next() from the start
  uint64_t token = 0;                    // by which the AttentionQueue names it
  bool for_worker = false;               // an HTTP worker answers it
  std::chrono::milliseconds max_wait{};  // for one; 0: as its pool says
};

enum class InputKind : uint8_t { None, Data, End, Error };

struct HttpEvent {
  enum class Kind : uint8_t { Input, Output, Finished };
  Kind kind = Kind::Finished;
  bool has_headers = false;
  bool flush = false;
  bool informational = false;
  bool refused = false;
  int status = 0;
  std::string_view headers;  // packed pairs; valid until the next call of next()
  std::string_view body;     // the same
  uint64_t input_wanted = 0;
};

class HttpRequest : public RefCounted<HttpRequest> {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kPublishAt = 32u << 10;
  static constexpr size_t kOutputBound = 256u << 10;
  static constexpr size_t kInputPiece = 256u << 10;
  static constexpr size_t kUnattendedBound = 256u << 10;

  HttpRequest(const HttpRequestOptions& options, std::shared_ptr<igor::Scope> scope);
  ~HttpRequest();

  // --- The caller -------------------------------------------------------------------------------

  // Hands over input and waits for what comes next. False after the finishing event was given. Makes it attended.
  bool next(InputKind kind, std::string_view input, HttpEvent& event);
  // Gives up: nobody will take events any more.
  void give_up() noexcept;  // not "release": that is what a Ref calls

  // --- Any thread -------------------------------------------------------------------------------

  // The client is gone: input ends, output is refused from now on. Nothing after the finish.
  void abort() noexcept;

  // The thread that serves it could not be ended and was left behind, and with it the rest of the response.
  void abandon() noexcept;

  // --- The pool ---------------------------------------------------------------------------------

  // Ends a request that no script ran for. `why` is for people; empty: no thread was free in time.
  void refuse(std::string_view why = {}) noexcept;
  // Who has it queued, and until when it may wait there; set before it is queued.
  void queued_in(std::shared_ptr<RequestHolder> holder, Clock::time_point until) noexcept;
  // A PHP thread took it from the queue.
  void started() noexcept;

  // --- The PHP thread that serves it ----------------------------------------------------------------

  // False: the client or the caller is gone. True with the output dropped once finished.
  bool write(const char* data, size_t size) noexcept;
  // Publishes what there is and asks the caller to send it on. False as write().
  bool flush() noexcept;
  // Headers are collected, then taken with the next publication.
  void begin_headers(int status) noexcept;
  void add_header(std::string_view name, std::string_view value) noexcept;
  // Makes what was collected a 1xx answer of its own, sent at once.
  void send_informational() noexcept;
  // Fills `buffer`; less than `size` only at the end of the body.
  size_t read(char* buffer, size_t size) noexcept;
  // The response is complete: from here on the caller is free to go, and output goes nowhere. Called
  // again it does nothing.
  void finish() noexcept;

  // The same before the end of the script: the caller must not have to wait for that.
  void finish_early() noexcept;
  // Whether somebody takes the events, or was called to. If not, the one who runs the request does, after the script.
  bool attended() const noexcept { return attended_.load(std::memory_order_relaxed); }
  uint64_t token() const noexcept { return token_; }
  bool for_worker() const noexcept { return for_worker_; }
  std::chrono::milliseconds max_wait() const noexcept { return max_wait_; }

  bool finished() const noexcept { return finished_.load(std::memory_order_acquire); }
  // The client or the caller is gone, before the response was complete.
  bool gone() const noexcept { return gone_.load(std::memory_order_acquire); }
  bool headers_begun() const noexcept { return headers_begun_; }
  // The body ended before its announced length, or with an error.
  bool input_cut() noexcept;

  // What the request is; NUL-terminated, alive as long as the request.
  std::string_view script_filename() const noexcept { return script_filename_; }
  std::string_view method() const noexcept { return method_; }
  std::string_view request_uri() const noexcept { return request_uri_; }
  std::string_view query() const noexcept { return query_; }
  std::string_view content_type() const noexcept { return content_type_; }
  std::string_view cookie() const noexcept { return cookie_; }
  std::string_view authorization() const noexcept { return authorization_; }
  std::string_view server_vars() const noexcept { return server_vars_; }
  std::string_view request_headers() const noexcept { return request_headers_; }
  int64_t content_length() const noexcept { return content_length_; }
  const EnvPairs& env() const noexcept { return env_; }
  igor::Scope* scope() const noexcept { return scope_.get(); }

 private:
  using Lock = std::unique_lock<std::mutex>;

  void take_input(InputKind kind, std::string_view input);
  bool deliver(HttpEvent& event);
  // Moves the private output over and wakes the caller; waits while the bound is reached.
  bool publish(std::string_view tail, bool flush);
  void move_headers();
  void want_caller() noexcept;
  template <typename Body>
  bool unless_lost(Body&& body) noexcept;

  // Constant after construction.
  std::string text_;  // the block that all views below point into
  std::string_view script_filename_, method_, request_uri_, query_, content_type_, cookie_, authorization_,
      server_vars_, request_headers_;
  int64_t content_length_;
  EnvPairs env_;
  std::shared_ptr<igor::Scope> scope_;

  std::atomic<bool> gone_{false};
  std::atomic<bool> finished_{false};
  std::atomic<bool> attended_;
  friend class AttentionQueue;
  HttpRequest* next_in_need_ = nullptr;  // the AttentionQueue's

  std::mutex mutex_;
  std::condition_variable caller_wakes_;
  std::condition_variable php_wakes_;
  // All under mutex_.
  struct Informational {
    int status;
    std::string headers;
  };
  std::deque<Informational> informational_;
  std::shared_ptr<RequestHolder> queue_;  // while queued
  Clock::time_point queued_until_;
  std::string ready_body_;
  std::string ready_headers_;
  int ready_status_ = 0;
  bool headers_ready_ = false;
  bool headers_given_ = false;
  bool output_ready_ = false;
  bool flush_ready_ = false;
  bool refused_ = false;
  bool lost_ = false;  // a part of the response is
  bool finish_given_ = false;
  bool input_asked_ = false;  // the script waits for it
  bool input_ended_ = false;
  bool input_failed_ = false;
  uint64_t input_received_ = 0;
  std::string input_;
  size_t input_at_ = 0;

  // The PHP thread's own.
  std::string pending_body_;
  std::string pending_headers_;
  int pending_status_ = 0;
  bool pending_has_headers_ = false;
  bool headers_begun_ = false;
  const uint64_t token_;
  const bool for_worker_;
  const std::chrono::milliseconds max_wait_;

  // The caller's own: what the last event points to.
  std::string given_headers_;
  std::string given_body_;
};

}  // namespace igor::sapi
