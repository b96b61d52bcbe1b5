// The one way to include the engine's headers, and the trampoline that catches a bailout.
//
// ZEND_ENABLE_STATIC_TSRMLS_CACHE makes EG(), SG() and their like one load from a thread-local variable
// instead of a call; PhpThread keeps that variable right on every thread that runs PHP.
#pragma once

#define ZEND_ENABLE_STATIC_TSRMLS_CACHE 1
// A thread-safe PHP is compiled with it, and some of its structs have a member more then.
#ifndef _REENTRANT
#define _REENTRANT 1
#endif

// Some of the engine's headers forget that C++ exists. The standard headers that they include come first,
// because templates cannot have C linkage.
#include <dirent.h>
#include <sys/stat.h>
#include <utime.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <type_traits>

extern "C" {
#include <php.h>

#include <SAPI.h>
#include <php_main.h>
#include <php_output.h>
#include <php_variables.h>
#include <zend_exceptions.h>
#include <zend_extensions.h>
#include <zend_fibers.h>
#include <zend_ini.h>
#include <zend_interfaces.h>
#include <zend_observer.h>
#include <ext/standard/head.h>
#include <ext/standard/info.h>
}

ZEND_TSRMLS_CACHE_EXTERN()

namespace igor::sapi {

// Runs `body` where a bailout (a longjmp) of the engine ends here: false then. Between this frame and the
// call that bails out no C++ object with a destructor may be alive, `body` included: it would be skipped.
// Not inlined, so that no local of the caller sits in a register that the longjmp restores.
template <typename Body>
[[gnu::noinline]] bool catch_bailout(Body&& body) {
  JMP_BUF* const outer = EG(bailout);
  JMP_BUF here;
  EG(bailout) = &here;
  if (SETJMP(here) == 0) {
    body();
    EG(bailout) = outer;
    return true;
  }
  EG(bailout) = outer;
  return false;
}

}  // namespace igor::sapi
