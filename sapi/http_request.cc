#include "sapi/http_request.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "module/packed_pairs.h"
#include "sapi/attention.h"
#include "sapi/request_holder.h"

namespace igor::sapi {

HttpRequest::HttpRequest(const HttpRequestOptions& options, std::shared_ptr<igor::Scope> scope)
    : content_length_(options.content_length),
      scope_(std::move(scope)),
      attended_(options.attended),
      token_(options.token),
      for_worker_(options.for_worker),
      max_wait_(options.max_wait) {
  // One block for all strings, each followed by a NUL, because the engine wants C strings.
  const std::pair<std::string_view, std::string_view*> strings[] = {
      {options.script_filename, &script_filename_}, {options.method, &method_},
      {options.request_uri, &request_uri_},         {options.query, &query_},
      {options.content_type, &content_type_},       {options.cookie, &cookie_},
      {options.authorization, &authorization_},     {options.server_vars, &server_vars_},
      {options.request_headers, &request_headers_}};
  size_t size = 0;
  for (const auto& [from, to] : strings) size += from.size() + 1;
  text_.reserve(size);
  for (const auto& [from, to] : strings) {
    *to = std::string_view(text_.data() + text_.size(), from.size());
    text_.append(from);
    text_.push_back('\0');
  }
  PackedPairs env(options.env);
  for (std::string_view key, value; env.next(key, value);) env_.emplace_back(key, value);
  input_.assign(options.body);
  input_received_ = input_.size();
  input_ended_ = content_length_ == 0 || options.body_whole;
}

HttpRequest::~HttpRequest() = default;

// --- The caller ---------------------------------------------------------------------------------------

bool HttpRequest::next(InputKind kind, std::string_view input, HttpEvent& event) {
  event = HttpEvent();
  attended_.store(true, std::memory_order_relaxed);
  Lock lock(mutex_);
  if (finish_given_) return false;
  take_input(kind, input);
  while (!deliver(event)) {
    if (queue_ && queued_until_ != Clock::time_point::max()) {
      if (caller_wakes_.wait_until(lock, queued_until_) == std::cv_status::timeout && queue_) {
        // The holder's lock comes before this one, so ask it without ours.
        const std::shared_ptr<RequestHolder> holder = queue_;
        lock.unlock();
        if (holder->withdraw(*this)) refuse();
        lock.lock();
        // Withdrawn, or a thread has just taken it; or that has put it back already, with a new end.
        if (Clock::now() >= queued_until_) queue_ = nullptr;
      }
    } else {
      caller_wakes_.wait(lock);
    }
  }
  return true;
}

void HttpRequest::take_input(InputKind kind, std::string_view input) {
  if (kind == InputKind::None) return;
  if (!input.empty() && !input_ended_) {
    if (input_at_ == input_.size()) {
      input_.clear();
      input_at_ = 0;
    }
    input_.append(input);
    input_received_ += input.size();
  }
  if (kind != InputKind::Data) input_ended_ = true;
  if (kind == InputKind::Error) {
    input_failed_ = true;
    if (!finished_.load(std::memory_order_relaxed)) gone_.store(true, std::memory_order_release);
  }
  if (!input.empty() || input_ended_) input_asked_ = false;
  php_wakes_.notify_one();
}

bool HttpRequest::deliver(HttpEvent& event) {
  if (!informational_.empty()) {
    Informational& answer = informational_.front();
    given_headers_ = std::move(answer.headers);
    event.kind = HttpEvent::Kind::Output;
    event.informational = true;
    event.flush = true;
    event.status = answer.status;
    event.headers = given_headers_;
    informational_.pop_front();
    return true;
  }
  const bool finished = finished_.load(std::memory_order_relaxed);
  if (finished && lost_) {
    // With nothing but its status, if it can still have one.
    ready_body_.clear();
    ready_headers_.clear();
    headers_ready_ = !headers_given_;
    ready_status_ = 500;
    refused_ = headers_given_;
  }
  if (finished || output_ready_) {
    given_body_.clear();
    std::swap(given_body_, ready_body_);
    event.body = given_body_;
    if (headers_ready_) {
      given_headers_ = std::move(ready_headers_);
      event.has_headers = true;
      event.status = ready_status_;
      event.headers = given_headers_;
      headers_ready_ = false;
      headers_given_ = true;
    } else if (finished && !headers_given_ && !refused_) {
      // The script died before it could say anything.
      event.has_headers = true;
      event.status = 500;
      headers_given_ = true;
    }
    event.flush = std::exchange(flush_ready_, false);
    output_ready_ = false;
    event.refused = refused_;
    event.kind = finished ? HttpEvent::Kind::Finished : HttpEvent::Kind::Output;
    finish_given_ = finished;
    if (!finished) php_wakes_.notify_one();
    return true;
  }
  if (input_asked_) {
    event.kind = HttpEvent::Kind::Input;
    event.input_wanted = kInputPiece;
    if (content_length_ > 0) {
      const uint64_t left =
          static_cast<uint64_t>(content_length_) - std::min<uint64_t>(content_length_, input_received_);
      event.input_wanted = std::clamp<uint64_t>(left, 1, kInputPiece);
    }
    return true;
  }
  return false;
}

void HttpRequest::give_up() noexcept {
  abort();
  std::shared_ptr<RequestHolder> holder;
  {
    Lock lock(mutex_);
    holder = queue_;
  }
  // Still in the queue: a script that nobody waits for any more, and whose body nobody would send.
  if (holder && holder->withdraw(*this)) refuse();
}

void HttpRequest::abort() noexcept {
  Lock lock(mutex_);
  if (finished_.load(std::memory_order_relaxed)) return;
  gone_.store(true, std::memory_order_release);
  if (!input_ended_) input_failed_ = true;
  input_ended_ = true;
  input_asked_ = false;
  php_wakes_.notify_one();
}

void HttpRequest::abandon() noexcept {
  Lock lock(mutex_);
  if (finished_.load(std::memory_order_relaxed)) return;
  lost_ = true;
  gone_.store(true, std::memory_order_release);
  finished_.store(true, std::memory_order_release);
  input_ended_ = true;
  input_asked_ = false;
  php_wakes_.notify_one();
  caller_wakes_.notify_one();
  if (for_worker_) want_caller();
}

// --- The pool -----------------------------------------------------------------------------------------

void HttpRequest::refuse(std::string_view why) noexcept {
  std::shared_ptr<RequestHolder> holder;  // may be the last owner: let go without the lock
  Lock lock(mutex_);
  holder = std::move(queue_);
  refused_ = true;
  try {
    ready_body_.assign(why);
  } catch (const std::bad_alloc&) {
    // The log has it as well.
  }
  finished_.store(true, std::memory_order_release);
  caller_wakes_.notify_one();
  if (for_worker_) want_caller();
}

void HttpRequest::queued_in(std::shared_ptr<RequestHolder> holder, Clock::time_point until) noexcept {
  Lock lock(mutex_);
  queue_ = std::move(holder);
  queued_until_ = until;
  caller_wakes_.notify_one();  // of one that was handed over and put back: its caller waits without an end
}

void HttpRequest::started() noexcept {
  std::shared_ptr<RequestHolder> holder;  // as above; the caller keeps it alive
  Lock lock(mutex_);
  holder = std::move(queue_);
}

// --- The PHP thread -----------------------------------------------------------------------------------

// From here on the response goes nowhere.
template <typename Body>
bool HttpRequest::unless_lost(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    Lock lock(mutex_);
    lost_ = true;
    gone_.store(true, std::memory_order_release);
    return false;
  }
}

bool HttpRequest::write(const char* data, size_t size) noexcept {
  if (finished_.load(std::memory_order_relaxed)) return true;
  if (gone_.load(std::memory_order_acquire)) return false;
  return unless_lost([&] {
    if (pending_body_.size() + size >= (attended() ? kPublishAt : kUnattendedBound))
      return publish({data, size}, false);
    pending_body_.append(data, size);
    return true;
  });
}

bool HttpRequest::flush() noexcept {
  if (finished_.load(std::memory_order_relaxed)) return true;
  if (gone_.load(std::memory_order_acquire)) return false;
  return unless_lost([&] { return publish({}, true); });
}

// Before PHP waits for the caller or wants something to leave at once, and when a worker's response is complete.
void HttpRequest::want_caller() noexcept {
  if (attended() || attended_.exchange(true, std::memory_order_relaxed)) return;
  AttentionQueue::global().push(*this);
}

bool HttpRequest::publish(std::string_view tail, bool flush) {
  want_caller();
  Lock lock(mutex_);
  move_headers();
  auto append = [&](std::string_view piece) {
    while (!piece.empty()) {
      php_wakes_.wait(lock, [&] { return ready_body_.size() < kOutputBound || gone_.load(std::memory_order_relaxed); });
      if (gone_.load(std::memory_order_relaxed)) return false;
      const size_t take = std::min(piece.size(), kOutputBound - ready_body_.size());
      ready_body_.append(piece.substr(0, take));
      piece.remove_prefix(take);
      output_ready_ = true;
      if (!piece.empty()) caller_wakes_.notify_one();
    }
    return true;
  };
  bool there = true;
  if (ready_body_.empty() && pending_body_.size() <= kOutputBound) {
    std::swap(ready_body_, pending_body_);
  } else {
    there = append(pending_body_);
  }
  pending_body_.clear();
  there = there && append(tail);
  output_ready_ = true;
  flush_ready_ = flush_ready_ || flush;
  lock.unlock();
  caller_wakes_.notify_one();
  return there;
}

void HttpRequest::move_headers() {
  if (!pending_has_headers_) return;
  ready_headers_ = std::move(pending_headers_);
  ready_status_ = pending_status_;
  headers_ready_ = true;
  pending_has_headers_ = false;
}

void HttpRequest::begin_headers(int status) noexcept {
  pending_headers_.clear();
  pending_status_ = status;
  pending_has_headers_ = true;
  headers_begun_ = true;
}

void HttpRequest::add_header(std::string_view name, std::string_view value) noexcept {
  unless_lost([&] {
    append_packed_pair(pending_headers_, name, value);
    return true;
  });
}

void HttpRequest::send_informational() noexcept {
  pending_has_headers_ = false;
  headers_begun_ = false;
  if (finished_.load(std::memory_order_relaxed)) return;
  unless_lost([&] {
    want_caller();
    Lock lock(mutex_);
    informational_.push_back({pending_status_, std::move(pending_headers_)});
    pending_headers_.clear();
    caller_wakes_.notify_one();
    return true;
  });
}

size_t HttpRequest::read(char* buffer, size_t size) noexcept {
  size_t done = 0;
  Lock lock(mutex_);
  while (done < size) {
    const size_t here = std::min(size - done, input_.size() - input_at_);
    if (here > 0) {
      std::memcpy(buffer + done, input_.data() + input_at_, here);
      input_at_ += here;
      done += here;
      continue;
    }
    if (input_ended_ || finished_.load(std::memory_order_relaxed)) break;
    // The announced length is all that there will be: no need to ask the caller for the end.
    if (content_length_ > 0 && input_received_ >= static_cast<uint64_t>(content_length_)) {
      input_ended_ = true;
      break;
    }
    input_asked_ = true;
    want_caller();
    caller_wakes_.notify_one();
    php_wakes_.wait(lock, [&] { return !input_asked_ || input_ended_; });
  }
  return done;
}

bool HttpRequest::input_cut() noexcept {
  Lock lock(mutex_);
  if (input_failed_) return true;
  return input_ended_ && content_length_ > 0 && input_received_ < static_cast<uint64_t>(content_length_);
}

void HttpRequest::finish_early() noexcept {
  if (finished_.load(std::memory_order_relaxed)) return;
  want_caller();
  finish();
}

void HttpRequest::finish() noexcept {
  if (finished_.load(std::memory_order_relaxed)) return;
  Lock lock(mutex_);
  move_headers();
  if (!gone_.load(std::memory_order_relaxed)) {
    if (ready_body_.empty()) {
      std::swap(ready_body_, pending_body_);
    } else {
      try {
        ready_body_.append(pending_body_);  // below kPublishAt: the bound is passed by that at most
      } catch (const std::bad_alloc&) {
        lost_ = true;
      }
    }
  }
  finished_.store(true, std::memory_order_release);
  input_asked_ = false;
  // Notified without the lock, so that the caller does not wake only to wait for it.
  lock.unlock();
  caller_wakes_.notify_one();
  if (for_worker_) want_caller();
}

}  // namespace igor::sapi
