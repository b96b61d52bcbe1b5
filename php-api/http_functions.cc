// The functions of HTTP scripts: finishing early, headers of both directions.
#include <SAPI.h>

#include <cstring>

#include "module/packed_pairs.h"
#include "php-api/api_thread.h"
#include "sapi/http_request.h"
#include "sapi/http_script.h"

using namespace igor;

ZEND_FUNCTION(frankenphp_finish_request) {
  ZEND_PARSE_PARAMETERS_NONE();
  sapi::PhpThread* const thread = sapi::PhpThread::current();
  RETURN_BOOL(thread != nullptr && sapi::finish_http_response(*thread));
}

ZEND_FUNCTION(headers_send) {
  zend_long status = 200;
  ZEND_PARSE_PARAMETERS_START(0, 1)
  Z_PARAM_OPTIONAL
  Z_PARAM_LONG(status)
  ZEND_PARSE_PARAMETERS_END();
  if (status < 100 || status > 599) {
    zend_argument_value_error(1, "must be an HTTP status from 100 to 599");
    RETURN_THROWS();
  }
  sapi::PhpThread* const thread = sapi::PhpThread::current();
  const bool sent = thread != nullptr && sapi::send_http_headers(*thread, static_cast<int>(status));
  RETURN_LONG(sent ? SAPI_HEADER_SENT_SUCCESSFULLY : SAPI_HEADER_SEND_FAILED);
}

ZEND_FUNCTION(frankenphp_request_headers) {
  ZEND_PARSE_PARAMETERS_NONE();
  array_init(return_value);
  const sapi::PhpThread* const thread = sapi::PhpThread::current();
  if (thread == nullptr || thread->request == nullptr) return;
  PackedPairs pairs(thread->request->request_headers());
  std::string_view name, value;
  while (pairs.next(name, value)) {
    add_assoc_stringl_ex(return_value, name.data(), name.size(), value.data(), value.size());
  }
}

ZEND_FUNCTION(frankenphp_response_headers) {
  ZEND_PARSE_PARAMETERS_NONE();
  array_init(return_value);
  const sapi::PhpThread* const thread = sapi::PhpThread::current();
  if (thread == nullptr || thread->request == nullptr) RETURN_COPY_VALUE(return_value);
  zend_llist& headers = SG(sapi_headers).headers;
  for (zend_llist_element* element = headers.head; element != nullptr; element = element->next) {
    const auto* const header = reinterpret_cast<const sapi_header_struct*>(element->data);
    const auto* const colon = static_cast<const char*>(std::memchr(header->header, ':', header->header_len));
    if (colon == nullptr) continue;
    const char* value = colon + 1;
    const char* const end = header->header + header->header_len;
    while (value < end && *value == ' ') ++value;
    add_assoc_stringl_ex(return_value, header->header, static_cast<size_t>(colon - header->header), value,
                         static_cast<size_t>(end - value));
  }
}
