// The life of a classic HTTP request on a PHP thread: request startup, the script, request shutdown; and
// the engine's callbacks while it lasts (output, headers, input, cookies), which requests that an HTTP worker
// serves (http_worker.h) have in common with it.
//
// The response is complete when output and session handlers have ended, before the engine tidies up its
// memory: the caller need not wait for that. A script may complete it earlier (fastcgi_finish_request)
// and go on; what it prints after that goes nowhere and is no reason to stop it.
//
// Everything here runs on the PHP thread. Functions that enter the engine say so: they may bail out, so
// their callers keep no C++ object with a destructor across them.
#pragma once

#include <cstddef>

#include "sapi/php_thread.h"

namespace igor::sapi {

class HttpRequest;

// Runs the request to its end; does not bail out. The response is finished when it returns, whatever
// the script did.
void run_http_script(PhpThread& thread, HttpRequest& request);

// Tells the engine what the request is, before it is activated; and takes that back. Enters the engine.
void describe_http_request(PhpThread& thread, HttpRequest& request);
void forget_http_request();

// fastcgi_finish_request(): flushes all output buffers, sends what there is, completes the response.
// False when there is no response to complete, or it was completed before. Enters the engine.
bool finish_http_response(PhpThread& thread);

// headers_send(): with a 1xx status, sends the headers set so far as an informational answer and keeps
// them for the real one; with any other, sends the real ones now. False when they were sent before or
// there is no response. Enters the engine.
bool send_http_headers(PhpThread& thread, int status);

// The engine's callbacks of HTTP threads; engine.cc's callback table calls them.
size_t http_write(PhpThread& thread, const char* data, size_t size);
void http_flush(PhpThread& thread);
void http_send_headers(PhpThread& thread);
size_t http_read_body(PhpThread& thread, char* buffer, size_t size);
void http_deactivate(PhpThread& thread);

}  // namespace igor::sapi
