#include "php-api/abi/report.h"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "php-api/abi/json_writer.h"
#include "sapi/engine.h"
#include "sapi/php_thread.h"
#include "sapi/request_queue.h"

namespace igor::api {
namespace {

// As metrics name them; by Reason.
constexpr std::array<const char*, 8> kReasons = {"exited",   "uncaught_exception", "fatal_error", "memory_limit",
                                                 "deadline", "worker_lost",        "shutdown",    "abandoned"};

uint64_t milliseconds(Duration age) {
  return static_cast<uint64_t>(
      std::max<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(age).count(), 0));
}

const char* name_of(PoolReport::State state) {
  switch (state) {
    case PoolReport::State::Running:
      return "running";
    case PoolReport::State::Paused:
      return "paused";
    case PoolReport::State::Draining:
      return "draining";
    case PoolReport::State::Drained:
      return "drained";
    case PoolReport::State::Stopping:
      return "stopping";
  }
  return "running";
}

const char* name_of(PoolReport::Breaker breaker) {
  switch (breaker) {
    case PoolReport::Breaker::Closed:
      return "closed";
    case PoolReport::Breaker::Open:
      return "open";
    case PoolReport::Breaker::HalfOpen:
      return "half_open";
  }
  return "closed";
}

const char* name_of(WorkerReport::State state) {
  switch (state) {
    case WorkerReport::State::Starting:
      return "starting";
    case WorkerReport::State::Idle:
      return "idle";
    case WorkerReport::State::Busy:
      return "busy";
    case WorkerReport::State::Restarting:
      return "restarting";
    case WorkerReport::State::Stopping:
      return "stopping";
    case WorkerReport::State::Lost:
      return "lost";
  }
  return "starting";
}

void write_workers(JsonWriter& json, const PoolReport& report) {
  json.key("workers").begin_array();
  for (const WorkerReport& worker : report.workers) {
    json.begin_object();
    json.member("index", worker.index);
    json.member("state", name_of(worker.state));
    json.member("since_ms", milliseconds(report.at - worker.since));
    json.member("tasks", worker.tasks);
    json.member("handled", worker.handled);
    json.member("starts", worker.starts);
    json.member("memory", worker.memory);
    if (!worker.activity.empty()) json.member("request", worker.activity);
    if (worker.old) json.member("old", true);
    json.end_object();
  }
  json.end_array();
}

void write_tasks(JsonWriter& json, const PoolReport& report) {
  json.key("tasks").begin_array();
  for (const TaskReport& task : report.tasks) {
    json.begin_object();
    json.member("id", task.id);
    json.member("state", task.running ? "running" : "queued");
    json.member("age_ms", milliseconds(report.at - task.created));
    json.member("payload_bytes", static_cast<uint64_t>(task.payload_bytes));
    json.member("sender", task.origin ? std::string_view(task.origin->text()) : std::string_view());
    if (task.running) json.member("worker", task.worker);
    if (task.old) json.member("old", true);
    json.end_object();
  }
  json.end_array();
  json.member("tasks_omitted", static_cast<uint64_t>(report.tasks_omitted));
}

void write_counters(JsonWriter& json, const Counters& counters) {
  const auto number = [&](const char* name, const Counters::Number& value) {
    json.member(name, value.load(std::memory_order_relaxed));
  };
  json.key("counters").begin_object();
  number("accepted", counters.accepted);
  number("refused", counters.refused);
  number("started", counters.started);
  number("completed", counters.completed);
  number("cancelled", counters.cancelled);
  number("timed_out", counters.timed_out);
  json.key("failed").begin_object();
  for (size_t i = 0; i < kReasons.size(); ++i) number(kReasons[i], counters.failed[i]);
  json.end_object();
  number("updates", counters.updates);
  number("payload_bytes", counters.payload_bytes);
  number("requests", counters.requests);
  number("starts", counters.starts);
  number("crashes", counters.crashes);
  json.key("restarts").begin_object();
  number("ended", counters.restarts_ended);
  number("crashed", counters.restarts_crashed);
  number("recycled", counters.restarts_recycled);
  number("restarted", counters.restarts_restarted);
  json.end_object();
  json.end_object();
}

void write_histogram(JsonWriter& json, const char* name, const Histogram& histogram) {
  const Histogram::Values values = histogram.values();
  json.key(name).begin_object();
  json.key("counts").begin_array();
  for (const uint64_t count : values.counts) json.value(count);
  json.end_array();
  json.member("sum_us", values.sum_us);
  json.end_object();
}

void write_histograms(JsonWriter& json, const Counters& counters) {
  json.key("histograms").begin_object();
  json.key("bounds_us").begin_array();
  for (const uint64_t bound : Histogram::kBounds) json.value(bound);
  json.end_array();
  write_histogram(json, "wait", counters.wait);
  write_histogram(json, "run", counters.run);
  write_histogram(json, "total", counters.total);
  json.end_object();
}

void write_pool(JsonWriter& json, Pool& pool, igor_handle handle) {
  const PoolOptions& options = pool.options();
  const bool requests = options.kind == PoolKind::Requests;
  PoolReport report = pool.report();
  if (const auto queue = requests ? sapi::RequestQueue::of(pool) : nullptr) report.queued = queue->load().waiting;

  json.begin_object();
  json.member("handle", handle);
  json.member("name", options.name);
  json.member("kind", requests ? "requests" : "tasks");
  json.member("file", options.file);
  json.member("catch_all", options.catch_all);
  json.member("num", options.num);
  json.member("max_threads", options.max_threads);
  json.member("state", name_of(report.state));
  json.member("breaker", name_of(report.breaker));
  json.member("consecutive_failures", report.consecutive_failures);
  json.member("ever_ready", report.ever_ready);
  json.key("queue").begin_object();
  json.member("length", static_cast<uint64_t>(report.queued));
  json.member("bound", options.queue);
  json.member("blocked_senders", static_cast<uint64_t>(report.blocked_senders));
  json.end_object();
  write_workers(json, report);
  write_tasks(json, report);
  write_counters(json, pool.counters());
  write_histograms(json, pool.counters());
  if (report.snapshot) {
    json.key("snapshot").begin_object();
    json.member("version", report.snapshot->version);
    json.member("age_ms", milliseconds(report.at - report.snapshot->published));
    json.member("bytes", static_cast<uint64_t>(report.snapshot->bytes));
    json.end_object();
  }
  if (report.last_failure) {
    const Failure& failure = *report.last_failure;
    json.key("last_failure").begin_object();
    json.member("reason", kReasons[static_cast<size_t>(failure.reason)]);
    json.member("message", failure.message);
    json.member("file", failure.file);
    json.member("line", failure.line);
    json.member("exit_status", failure.exit_status);
    json.member("age_ms", milliseconds(report.at - report.last_failure_at));
    json.end_object();
  }
  json.end_object();
}

void write_http(JsonWriter& json) {
  const sapi::HttpRunner::Load load = sapi::Engine::instance().http().load();
  const TimePoint at = now();
  json.key("http").begin_object();
  json.member("busy", load.busy);
  json.member("requests", load.requests);
  json.key("list").begin_array();
  for (const sapi::HttpRunner::Thread& thread : load.threads) {
    json.begin_object();
    json.member("name", thread.name);
    json.member("state", thread.lost ? "lost" : thread.request.empty() ? "idle" : "busy");
    json.member("since_ms", milliseconds(at - thread.since));
    json.member("requests", thread.requests);
    if (!thread.request.empty()) json.member("request", thread.request);
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

void write_memory(JsonWriter& json) {
  json.key("memory").begin_object();
  json.member("engine_states", sapi::PhpThread::attached());
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  const struct mallinfo2 heap = mallinfo2();
  json.member("allocated", static_cast<uint64_t>(heap.uordblks + heap.hblkhd));
  json.member("free", static_cast<uint64_t>(heap.fordblks));
#endif
  json.end_object();
}

}  // namespace

std::string report_of(const GenerationView& generation) {
  JsonWriter json;
  json.begin_object();
  write_http(json);
  write_memory(json);
  json.key("scopes").begin_array();
  for (const auto& scope : generation.scopes) {
    json.begin_object();
    json.member("label", scope->label());
    json.member("global", scope == generation.scopes.front());
    json.key("pools").begin_array();
    auto pools = scope->pools();
    // In an order that stays: by kind and name.
    std::sort(pools.begin(), pools.end(), [](const auto& one, const auto& other) {
      const PoolOptions& left = one->options();
      const PoolOptions& right = other->options();
      return left.kind != right.kind ? left.kind < right.kind : left.name < right.name;
    });
    for (const auto& pool : pools) write_pool(json, *pool, generation.handle_of(*scope, *pool));
    json.end_array();
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return json.text();
}

}  // namespace igor::api
