#include "sapi/http_script.h"

#include <strings.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "sapi/error_report.h"
#include "sapi/http_request.h"
#include "sapi/zend.h"

namespace igor::sapi {
namespace {

// The engine wants writable C strings and does not write to them; null where there is nothing.
char* c_string(std::string_view text) {
  return text.empty() ? nullptr : const_cast<char*>(text.data());
}

// The words of PHP-FPM, which web servers' error pages and people's eyes are used to.
void answer_unreadable(int error, const char* path) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  SG(sapi_headers).http_response_code = missing ? 404 : 403;
  log_script_unreadable(path, error);
  PG(during_request_startup) = 0;
  php_printf("%s\n", missing ? "File not found." : "Access denied.");
}

void execute(HttpRequest& request) {
  const char* path = request.script_filename().data();
  if (access(path, R_OK) != 0) {
    answer_unreadable(errno, path);
    return;
  }
  zend_file_handle file;
  zend_stream_init_filename(&file, path);
  file.primary_script = true;
  // The script's folder is the current one while it runs, and before and after that the server's own. The engine would
  // see to it, too, but look at the disk for the way back.
  SG(options) |= SAPI_OPTION_NO_CHDIR;
  VCWD_CHDIR_FILE(path);
  php_execute_script(&file);  // where a bailout of the script ends
  virtual_cwd_deactivate();
  virtual_cwd_activate();
  zend_destroy_file_handle(&file);
}

// What the script has set so far, as name and value; the engine ends each line with a NUL. Allocates nothing.
template <typename Use>
void for_each_header(Use&& use) {
  zend_llist_position position;
  for (auto* header = static_cast<sapi_header_struct*>(zend_llist_get_first_ex(&SG(sapi_headers).headers, &position));
       header;
       header = static_cast<sapi_header_struct*>(zend_llist_get_next_ex(&SG(sapi_headers).headers, &position))) {
    const std::string_view line(header->header, header->header_len);
    const size_t colon = line.find(':');
    // header("Foo") is no header field.
    if (colon == std::string_view::npos || colon == 0) continue;
    const size_t value = line.find_first_not_of(" \t", colon + 1);
    use(line.substr(0, colon), value == std::string_view::npos ? std::string_view() : line.substr(value));
  }
}

bool is_cgi_status(std::string_view name) {
  return name.size() == 6 && strncasecmp(name.data(), "Status", 6) == 0;
}

}  // namespace

// Everything request startup reads about the request. Allocates from the request's memory, so it belongs
// inside a trampoline, and before php_request_startup(): that one reads the body, too.
void describe_http_request(PhpThread& thread, HttpRequest& request) {
  SG(server_context) = &thread;
  SG(sapi_headers).http_response_code = 200;
  auto& info = SG(request_info);
  info.request_method = request.method().data();
  info.query_string = const_cast<char*>(request.query().data());
  info.request_uri = const_cast<char*>(request.request_uri().data());
  info.path_translated = const_cast<char*>(request.script_filename().data());
  info.content_type = c_string(request.content_type());
  info.content_length = request.content_length() > 0 ? request.content_length() : 0;
  info.argc = 0;
  info.argv = nullptr;
  php_handle_auth_data(c_string(request.authorization()));
}

void forget_http_request() {
  SG(server_context) = nullptr;
  auto& info = SG(request_info);
  info.request_method = nullptr;
  info.query_string = nullptr;
  info.request_uri = nullptr;
  info.path_translated = nullptr;
  info.content_type = nullptr;
  info.content_length = 0;
  info.cookie_data = nullptr;
}

void run_http_script(PhpThread& thread, HttpRequest& request) {
  thread.begin_run();
  thread.request = &request;
  thread.scope = request.scope();
  thread.env = request.env().empty() ? nullptr : &request.env();

  bool started = false;
  const bool described = catch_bailout([&] {
    describe_http_request(thread, request);
    started = php_request_startup() == SUCCESS;
  });
  thread.run_started(started);
  if (!described || !started) {
    SG(sapi_headers).http_response_code = 500;
    log_host_problem(&thread, "request startup failed: the script was not run (memory_limit, or an error above)");
  } else if (!request.input_cut()) {
    catch_bailout([&] { execute(request); });
  }
  // A body that was cut while request startup read it is no request: a form of which half is missing must
  // not be acted upon, and nobody waits for the answer.

  thread.leave_forked_child();
  const bool whole = catch_bailout([] { php_request_shutdown(nullptr); });
  if (!whole) {
    log_host_problem(&thread, "request shutdown was cut short; the thread starts afresh");
    request.finish();
    // In this order: the old state may still point into what is kept for the run.
    thread.recycle();
    thread.end_run();
    return;
  }
  request.finish();
  forget_http_request();
  thread.end_run();
}

bool finish_http_response(PhpThread& thread) {
  if (!thread.request || thread.request->finished()) return false;
  php_output_end_all();
  php_header();
  thread.request->finish_early();
  return true;
}

bool send_http_headers(PhpThread& thread, int status) {
  if (!thread.request || thread.request->finished() || SG(headers_sent)) return false;
  if (status < 100 || status > 199) {
    SG(sapi_headers).http_response_code = status;
    sapi_send_headers();
    http_flush(thread);
    return true;
  }
  thread.request->begin_headers(status);
  for_each_header([&](std::string_view name, std::string_view value) { thread.request->add_header(name, value); });
  thread.request->send_informational();
  return true;
}

// --- Callbacks ----------------------------------------------------------------------------------------

size_t http_write(PhpThread& thread, const char* data, size_t size) {
  if (!thread.request) {
    thread.log_output({data, size});  // a forked child's, which has no client
  } else if (!thread.request->write(data, size)) {
    php_handle_aborted_connection();
  }
  return size;
}

void http_flush(PhpThread& thread) {
  if (!thread.request || thread.request->finished()) return;
  sapi_send_headers();
  if (!thread.request->flush()) php_handle_aborted_connection();
}

void http_send_headers(PhpThread& thread) {
  HttpRequest* request = thread.request;
  if (!request || request->finished()) return;
  int status = SG(sapi_headers).http_response_code;
  // header("Status: 404") is how a CGI script names its status, and scripts written for PHP-FPM do, too.
  for_each_header([&](std::string_view name, std::string_view value) {
    if (is_cgi_status(name) && value.size() >= 3) status = std::atoi(value.data());
  });
  request->begin_headers(status > 0 ? status : 200);
  for_each_header([&](std::string_view name, std::string_view value) {
    if (!is_cgi_status(name)) request->add_header(name, value);
  });
}

size_t http_read_body(PhpThread& thread, char* buffer, size_t size) {
  // At the very end the engine reads what the script left of the body. Output is closed by then, and the
  // caller knows better what to do with the rest (the connection may have to be closed).
  if (!thread.request || !(OG(flags) & PHP_OUTPUT_ACTIVATED)) return 0;
  return thread.request->read(buffer, size);
}

void http_deactivate(PhpThread& thread) {
  if (thread.request) thread.request->finish();
}

}  // namespace igor::sapi
