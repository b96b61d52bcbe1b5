#include "php-api/no_memory.h"

#include "sapi/zend.h"
// After zend.h.
#include <ext/spl/spl_exceptions.h>

namespace igor::api {

void throw_no_memory() {
  zend_throw_exception(spl_ce_RuntimeException, "the server has run out of memory", 0);
}

}  // namespace igor::api
