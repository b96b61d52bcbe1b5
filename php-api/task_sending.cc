#include "php-api/task_sending.h"

#include <ext/spl/spl_exceptions.h>

#include <cmath>

#include "module/activity.h"
#include "module/scope.h"
#include "module/times.h"
#include "module/worker_slot.h"
#include "php-api/no_memory.h"
#include "php-api/task_failed.h"
#include "php-api/task_stream.h"
#include "sapi/http_request.h"
#include "sapi/payload_codec.h"

namespace igor::api {
namespace {

constexpr size_t kLongestName = 255;
constexpr double kLongestWait = 1e9;  // seconds; beyond it, for ever

constexpr size_t kLongestOrigin = 256;

// "POST /upload.php": without the query, which is where secrets are.
std::string origin_text(const sapi::PhpThread& thread) {
  std::string text;
  if (thread.request != nullptr) {
    text.append(thread.request->method()).append(" ");
    const std::string_view uri = thread.request->request_uri();
    text.append(uri.substr(0, uri.find('?')));
  } else if (thread.slot != nullptr) {
    text.append("worker ").append(thread.slot->options().name);
  } else {
    text = "cli";
  }
  if (text.size() > kLongestOrigin) {
    // Not within a character.
    size_t end = kLongestOrigin;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
  }
  return text;
}

// The blocking part: no call into the engine in here.
SendReport send_or_throw(ApiThread& state, php_stream* stream, TimePoint deadline, Interrupt* interrupt,
                         Duration task_timeout) {
  activity::idle_end();
  if (!state.origin) state.origin = Ref<const Origin>::adopt(new Origin(origin_text(*sapi::PhpThread::current())));
  Pool::Sent sent = state.pool->send(std::move(state.payload), deadline, interrupt, task_timeout, state.origin);
  SendReport report(sent.result);
  if (sent.task) {
    attach_task(stream, std::move(sent.task), nullptr);
    return report;
  }
  report.failures = sent.failures;
  report.say(sent.detail);
  state.failure = std::move(sent.failure);
  return report;
}

SendReport send(ApiThread& state, php_stream* stream, TimePoint deadline, Interrupt* interrupt, Duration task_timeout) {
  SendReport report(Pool::SendResult::NoThread);
  if (fits([&] { report = send_or_throw(state, stream, deadline, interrupt, task_timeout); })) return report;
  state.payload.reset();
  report.say("the server has run out of memory");
  return report;
}

// No call into the engine in here: a home is held while names are looked up in it. It is asked for each time,
// because a script may run on over many reloads.
Scope::Lookup look_up(const sapi::PhpThread& thread, std::string_view name, std::shared_ptr<Pool>& pool) {
  if (thread.scope != nullptr) return thread.scope->find(name, pool);
  if (thread.slot == nullptr) return Scope::Lookup::NoWorkers;
  if (const auto home = thread.slot->pool().home()) return home->find(name, pool);
  // Its configuration is gone, and it should be too.
  return thread.slot->stopping() ? Scope::Lookup::Closed : Scope::Lookup::NoWorkers;
}

}  // namespace

bool valid_worker_name(const zend_string* name) {
  if (ZSTR_LEN(name) == 0) {
    zend_argument_value_error(1, "must not be empty");
  } else if (ZSTR_LEN(name) > kLongestName) {
    zend_argument_value_error(1, "must be a worker's name of at most %zu bytes, %zu given", kLongestName,
                              ZSTR_LEN(name));
  } else if (memchr(ZSTR_VAL(name), '\0', ZSTR_LEN(name)) != nullptr) {
    zend_argument_value_error(1, "must not contain any null bytes");
  } else {
    return true;
  }
  return false;
}

bool find_pool(ApiThread& state, const sapi::PhpThread& thread, zend_string* name) {
  Scope::Lookup found = Scope::Lookup::Closed;
  if (!fits([&] { found = look_up(thread, {ZSTR_VAL(name), ZSTR_LEN(name)}, state.pool); })) {
    throw_no_memory();
    return false;
  }
  switch (found) {
    case Scope::Lookup::Found:
      return true;
    case Scope::Lookup::NoWorkers:
      zend_throw_exception(spl_ce_RuntimeException, "no background worker configured in this php_server", 0);
      break;
    case Scope::Lookup::NoSuchWorker:
      zend_throw_exception_ex(
          spl_ce_RuntimeException, 0,
          "no background worker named \"%s\" in this php_server or the global block, and no catch-all", ZSTR_VAL(name));
      break;
    case Scope::Lookup::CatchAllFull:
      zend_throw_exception_ex(
          spl_ce_RuntimeException, 0,
          "background worker \"%s\" cannot be started: the catch-all runs as many names as its max_threads allows",
          ZSTR_VAL(name));
      break;
    case Scope::Lookup::Closed:
      zend_throw_exception_ex(spl_ce_RuntimeException, 0, "background worker \"%s\" is shutting down", ZSTR_VAL(name));
      break;
  }
  return false;
}

void throw_refusal(const SendReport& report, const zend_string* name, const Failure& failure) {
  const char* const worker = ZSTR_VAL(name);
  char text[512];
  switch (report.result) {
    case Pool::SendResult::Accepted:
      return;
    case Pool::SendResult::TimedOut:
      snprintf(text, sizeof text, "timeout waiting for background worker \"%s\" to accept task", worker);
      break;
    case Pool::SendResult::Overflow:
      zend_throw_exception_ex(overflow_class, 0, "background worker \"%s\" is full (overflow reject)", worker);
      return;
    case Pool::SendResult::WorkerFailed:
      throw_failed(kAborted, failure);
      return;
    case Pool::SendResult::BreakerOpen:
      snprintf(text, sizeof text,
               "background worker \"%s\" failed %s and is not started for now (max_consecutive_failures)", worker,
               Times(report.failures, Times::InARow).text());
      throw_failed(text, failure);
      return;
    case Pool::SendResult::ShuttingDown:
    case Pool::SendResult::Interrupted:
      snprintf(text, sizeof text, "background worker \"%s\" is shutting down", worker);
      break;
    case Pool::SendResult::NoThread:
      snprintf(text, sizeof text, "%s", report.detail);
      break;
  }
  zend_throw_exception(spl_ce_RuntimeException, text, 0);
}

Task::ReadResult read_update(php_stream* stream, Task& task, TimePoint deadline) {
  activity::idle_end();
  return task.read(payload_in_hand(stream), deadline, &sapi::PhpThread::current()->interrupt);
}

bool decode_result(Task& task, zval* value) {
  if (task.result().empty()) {
    ZVAL_NULL(value);
    return true;
  }
  // Of a copy: an autoloader may close the stream, and the task would go with it.
  const Payload& result = task.result();
  Payload& copy = ApiThread::current().payload;
  copy = Payload::copy_of({reinterpret_cast<const char*>(result.data()), result.size()});
  if (!copy.empty()) return sapi::consume_payload(copy, value);
  zend_throw_exception(spl_ce_RuntimeException, "no memory for the task's result", 0);
  return false;
}

void throw_interrupted() {
  zend_throw_exception(spl_ce_RuntimeException, "interrupted: this script was told to end", 0);
}

bool deadline_of_argument(uint32_t argument, double seconds, TimePoint& deadline) {
  if (!std::isfinite(seconds) || seconds < 0) {
    zend_argument_value_error(argument, "must be a finite number of seconds, 0 or more");
    return false;
  }
  deadline = seconds > kLongestWait ? kNever : after(now(), Duration(static_cast<Duration::rep>(seconds * 1e9)));
  return true;
}

php_stream* send_task(const char* function, zend_string* name, const zval* payload, TimePoint deadline,
                      Duration task_timeout) {
  sapi::PhpThread* const thread = require_thread(function);
  if (thread == nullptr || !valid_worker_name(name)) return nullptr;
  ApiThread& state = ApiThread::current();
  if (!find_pool(state, *thread, name)) return nullptr;
  const auto worker = sapi::PayloadReceiver::of(*state.pool);
  if (!sapi::encode_payload(payload, "$payload", state.pool->options().max_payload, state.payload, worker))
    return nullptr;
  php_stream* const stream = make_task_stream(TaskSide::Sender);
  const SendReport report = send(state, stream, deadline, &thread->interrupt, task_timeout);
  state.pool.reset();
  if (report.result == Pool::SendResult::Accepted) return stream;
  php_stream_close(stream);
  throw_refusal(report, name, state.failure);
  return nullptr;
}

}  // namespace igor::api
