#include "module/handle_table.h"
#include "module/packed_pairs.h"
#include "module/ref.h"
#include "php-api/abi/abi.h"
#include "php-api/abi/scopes.h"
#include "sapi/attention.h"
#include "sapi/cpu_load.h"
#include "sapi/engine.h"
#include "sapi/http_request.h"
#include "sapi/request_queue.h"

using igor::Ref;
using igor::abi::str;
using igor::abi::view;
using igor::sapi::AttentionQueue;
using igor::sapi::Engine;
using igor::sapi::HttpEvent;
using igor::sapi::HttpRequest;
using igor::sapi::HttpRequestOptions;
using igor::sapi::InputKind;

namespace {

igor::HandleTable<Ref<HttpRequest>>& requests() {
  static auto* table = new igor::HandleTable<Ref<HttpRequest>>;  // never destroyed, as the engine
  return *table;
}

uint32_t kind_of(const HttpEvent& event) {
  switch (event.kind) {
    case HttpEvent::Kind::Input:
      return IGOR_EVENT_INPUT;
    case HttpEvent::Kind::Output:
      return IGOR_EVENT_OUTPUT;
    case HttpEvent::Kind::Finished:
      return IGOR_EVENT_FINISHED;
  }
  return IGOR_EVENT_FINISHED;
}

void write_event(const HttpEvent& event, igor_event& out) {
  out.kind = kind_of(event);
  out.flags = (event.has_headers ? IGOR_EVENT_HAS_HEADERS : 0) | (event.flush ? IGOR_EVENT_FLUSH : 0) |
              (event.informational ? IGOR_EVENT_INFORMATIONAL : 0) | (event.refused ? IGOR_EVENT_REFUSED : 0);
  out.status = static_cast<uint32_t>(event.status);
  out.headers = str(event.headers);
  out.body = str(event.body);
  out.input_wanted = event.input_wanted;
}

// A C string ends at its first NUL: a name with one in it would be another name further down.
bool has_nul(igor_str text) {
  return view(text).find('\0') != std::string_view::npos;
}

}  // namespace

extern "C" {

igor_status igor_request_start(const igor_request_options* given, igor_handle* handle) noexcept {
  return igor::abi::guarded(nullptr, 0, [&] {
    if (!handle) return IGOR_INVALID;
    *handle = 0;
    if (!igor::abi::size_known(given)) return IGOR_INVALID;
    const igor_request_options from = igor::abi::completed(given);
    if (!Engine::instance().running()) return IGOR_STATE;
    for (const igor_str text : {from.script_filename, from.method, from.request_uri, from.query, from.content_type,
                                from.cookie, from.authorization}) {
      if (has_nul(text)) return IGOR_INVALID;
    }
    for (const igor_str pairs : {from.server_vars, from.env, from.request_headers}) {
      if (!igor::PackedPairs::well_formed(view(pairs))) return IGOR_INVALID;
    }
    if (view(from.script_filename).empty()) return IGOR_INVALID;
    std::shared_ptr<igor::Pool> workers;
    if (from.worker != 0 && !(workers = igor::api::find_requests_pool(from.worker))) return IGOR_GONE;
    std::shared_ptr<igor::Scope> scope;
    if (from.scope != 0 && !(scope = igor::api::find_scope(from.scope))) return IGOR_GONE;

    HttpRequestOptions options;
    options.script_filename = view(from.script_filename);
    options.method = view(from.method);
    options.request_uri = view(from.request_uri);
    options.query = view(from.query);
    options.content_type = view(from.content_type);
    options.cookie = view(from.cookie);
    options.authorization = view(from.authorization);
    options.content_length = from.content_length;
    options.server_vars = view(from.server_vars);
    options.env = view(from.env);
    options.request_headers = view(from.request_headers);
    options.body = view(from.body);
    options.body_whole = from.body_whole != 0;
    options.attended = from.attended != 0;
    options.token = from.token;
    options.for_worker = from.worker != 0;
    options.max_wait = std::chrono::milliseconds(from.max_wait_ms);
    auto request = Ref<HttpRequest>::adopt(new HttpRequest(options, std::move(scope)));
    // The handle first: what is in the queue is served, and somebody must be there to take the answer.
    const igor_handle made = requests().insert(request);
    if (workers) {
      const auto queue = igor::sapi::RequestQueue::of(*workers);
      try {
        if (!queue || !queue->submit(*request, workers)) {
          requests().take(made);
          return IGOR_STATE;
        }
      } catch (...) {
        requests().take(made);
        throw;
      }
    }
    *handle = made;
    return IGOR_OK;
  });
}

igor_status igor_request_run(igor_handle handle, igor_event* out) noexcept {
  return igor::abi::guarded(nullptr, 0, [&] {
    const Ref<HttpRequest> request = requests().find(handle);
    if (!request) return IGOR_GONE;
    if (!out || out->size < sizeof(igor_event) || request->for_worker()) return IGOR_INVALID;
    Engine::instance().http().run(*request);
    out->kind = IGOR_EVENT_NONE;
    HttpEvent event;
    if (!request->attended() && request->next(InputKind::None, {}, event)) write_event(event, *out);
    return IGOR_OK;
  });
}

igor_status igor_spare_take(void) noexcept {
  return igor::abi::guarded(nullptr, 0, [&] {
    igor::sapi::ThreadBudget& budget = Engine::instance().budget();
    if (!budget.any_left()) return IGOR_STATE;
    if (igor::sapi::CpuLoad::global().ask() != igor::sapi::CpuLoad::Answer::Room) return IGOR_STATE;
    return budget.take() ? IGOR_OK : IGOR_STATE;
  });
}

void igor_spare_put_back(void) noexcept {
  Engine::instance().budget().put_back();
}

igor_status igor_attention_fd(int* fd) noexcept {
  if (!fd) return IGOR_INVALID;
  *fd = AttentionQueue::global().fd();
  return *fd >= 0 ? IGOR_OK : IGOR_STATE;
}

igor_status igor_attention_take(uint64_t* tokens, size_t room, size_t* count) noexcept {
  if (!tokens || room == 0 || !count) return IGOR_INVALID;
  // Before it is looked: what was there by then is taken.
  const bool closed = AttentionQueue::global().closed();
  *count = AttentionQueue::global().take(tokens, room);
  return *count == 0 && closed ? IGOR_GONE : IGOR_OK;
}

void igor_attention_close(void) noexcept {
  AttentionQueue::global().close();
}

igor_status igor_request_next(igor_handle handle, int input_kind, igor_str input, igor_event* out) noexcept {
  return igor::abi::guarded(nullptr, 0, [&] {
    const Ref<HttpRequest> request = requests().find(handle);
    if (!request) return IGOR_GONE;
    if (!out || out->size < sizeof(igor_event)) return IGOR_INVALID;
    if (input_kind < IGOR_INPUT_NONE || input_kind > IGOR_INPUT_ERROR) return IGOR_INVALID;
    HttpEvent event;
    if (!request->next(static_cast<InputKind>(input_kind), view(input), event)) return IGOR_STATE;
    write_event(event, *out);
    return IGOR_OK;
  });
}

igor_status igor_request_abort(igor_handle handle) noexcept {
  return igor::abi::guarded(nullptr, 0, [&] {
    const Ref<HttpRequest> request = requests().find(handle);
    if (!request) return IGOR_GONE;
    request->give_up();
    return IGOR_OK;
  });
}

igor_status igor_request_release(igor_handle handle) noexcept {
  return igor::abi::guarded(nullptr, 0, [&] {
    const Ref<HttpRequest> request = requests().take(handle);
    if (!request) return IGOR_GONE;
    request->give_up();
    return IGOR_OK;
  });
}

}  // extern "C"
