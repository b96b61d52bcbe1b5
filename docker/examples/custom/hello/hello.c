/* The smallest PHP extension: hello() says so. */
#include <php.h>

ZEND_FUNCTION(hello) {
  ZEND_PARSE_PARAMETERS_NONE();
  RETURN_STRING("hello from an extension");
}

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(arginfo_hello, 0, 0, IS_STRING, 0)
ZEND_END_ARG_INFO()

static const zend_function_entry functions[] = {
  ZEND_FE(hello, arginfo_hello)
  ZEND_FE_END
};

zend_module_entry hello_module_entry = {
  STANDARD_MODULE_HEADER, "hello", functions, NULL, NULL, NULL, NULL, NULL, "1", STANDARD_MODULE_PROPERTIES
};

ZEND_GET_MODULE(hello)
