// HTTP workers whose scripts are C++ functions: what the tests of the RequestQueue share.
//
// The host does what the engine's does (worker_script.h, http_worker.h) without an engine: a seat per thread,
// joined on entering and left on leaving; a script that takes one request after the other; an interrupt that
// reaches the request first. What a request does at the worker, its path says, see serve().
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "sapi/http_request.h"
#include "sapi/request_queue.h"
#include "tests/module/fake_host.h"

namespace igor::sapi::test {

using igor::test::Gate;
using igor::test::Script;

// A request, as its client sees it.
class Client {
 public:
  struct Answer {
    bool refused = false;
    int status = 0;
    std::string body;
  };

  // A body of `content_length` bytes is announced, and none is ever sent: who reads it waits.
  explicit Client(std::string_view path, int64_t content_length = 0) {
    HttpRequestOptions options;
    options.script_filename = "/scripts/w";
    options.method = "GET";
    options.request_uri = path;
    options.content_length = content_length;
    options.for_worker = true;
    request = Ref<HttpRequest>::adopt(new HttpRequest(options, nullptr));
  }
  Client(std::string_view path, const std::shared_ptr<Pool>& pool) : Client(path) { submit(pool); }

  void submit(const std::shared_ptr<Pool>& pool) { EXPECT_TRUE(RequestQueue::of(*pool)->submit(*request, pool)); }

  // Waits for the end. There is exactly one.
  Answer answer() {
    Answer answer;
    HttpEvent event;
    do {
      if (!request->next(InputKind::None, {}, event)) {
        ADD_FAILURE() << "no finishing event for " << request->request_uri();
        return answer;
      }
      answer.refused = answer.refused || event.refused;
      if (event.has_headers) answer.status = event.status;
      answer.body.append(event.body);
    } while (event.kind != HttpEvent::Kind::Finished);
    EXPECT_FALSE(request->next(InputKind::None, {}, event)) << "answered twice: " << request->request_uri();
    request->give_up();
    return answer;
  }

  Ref<HttpRequest> request;
};

class QueueHost : public igor::test::FakeHost {
 public:
  QueueHost() : FakeHost([this](Script& script) { return serve(script); }) {}

  bool enter(WorkerSlot& slot, std::string& error) override {
    if (!FakeHost::enter(slot, error)) return false;
    auto* seat = new RequestQueue::Seat(RequestQueue::of(slot.pool()), slot);
    seat->queue().join(*seat);
    slot.host_data.store(seat);
    std::lock_guard lock(mutex_);
    slots_.push_back(&slot);
    return true;
  }
  void leave(WorkerSlot& slot) override {
    {
      std::lock_guard lock(mutex_);
      std::erase(slots_, &slot);
    }
    RequestQueue::Seat* const seat = seat_of(slot);
    seat->queue().leave(*seat);
    delete seat;
    FakeHost::leave(slot);
  }
  void interrupt(WorkerSlot& slot) override {
    RequestQueue::of(slot.pool())->abort(slot);
    FakeHost::interrupt(slot);
  }
  // Interrupts one of those that are there, without telling it to stop.
  void interrupt_any(RequestQueue& queue, size_t which) {
    std::lock_guard lock(mutex_);
    if (slots_.empty()) return;
    WorkerSlot& slot = *slots_[which % slots_.size()];
    queue.abort(slot);
    FakeHost::interrupt(slot);
  }

  static RequestQueue::Seat* seat_of(WorkerSlot& slot) {
    return static_cast<RequestQueue::Seat*>(slot.host_data.load());
  }

  // A path's gates: `began` opens when a worker serves it; /hold/... waits for `go`.
  struct Gates {
    Gate began, go;
  };
  Gates& at(std::string_view path) {
    std::lock_guard lock(mutex_);
    auto& gates = gates_[std::string(path)];
    if (!gates) gates = std::make_unique<Gates>();
    return *gates;
  }
  // What was served, in order.
  std::vector<std::string> served() {
    std::lock_guard lock(mutex_);
    return served_;
  }

  // For tests that want more: before a request is served.
  std::function<void(Script&, HttpRequest&)> on_request;
  std::atomic<bool> keep_record{true};

  // The worker's script: answers with the worker's name and index. /hold/x waits for its gate, interrupted or not;
  // /read/x reads a body; /crash/x ends the script.
  RunOutcome serve(Script& script) {
    RequestQueue::Seat& seat = *seat_of(script.slot);
    script.slot.ready();
    while (HttpRequest* request = seat.queue().take(seat, &script.interrupt)) {
      const std::string path(request->request_uri());
      if (on_request) on_request(script, *request);
      if (keep_record) {
        {
          std::lock_guard lock(mutex_);
          served_.push_back(path);
        }
        at(path).began.open();
      }
      if (path.starts_with("/hold/")) at(path).go.wait();
      if (path.starts_with("/read/")) {
        char body[64];
        while (request->read(body, sizeof body) == sizeof body) {
        }
      }
      const bool crashes = path.starts_with("/crash/");
      if (!crashes) {
        const std::string label = script.slot.label();
        request->begin_headers(200);
        request->write(label.data(), label.size());
      }
      request->finish();
      seat.queue().done(seat);
      script.slot.handled(seat.waited(), {});
      if (crashes) return igor::test::crash();
    }
    return igor::test::clean_end();
  }

 private:
  std::mutex mutex_;
  std::vector<WorkerSlot*> slots_;
  std::map<std::string, std::unique_ptr<Gates>> gates_;
  std::vector<std::string> served_;
};

}  // namespace igor::sapi::test
