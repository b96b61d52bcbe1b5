/* A PHP extension that crashes, for tests: each function in the way that its name says. Loaded by
 * `php_ini extension`; no part of the product. */
#define ZEND_ENABLE_STATIC_TSRMLS_CACHE 1
#include <php.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

ZEND_TSRMLS_CACHE_DEFINE()

/* The compiler must not know what these are. */
static volatile uintptr_t nowhere = 0;
static volatile int zero = 0;

ZEND_FUNCTION(crash_segv) {
  ZEND_PARSE_PARAMETERS_NONE();
  *(volatile int *)nowhere = 1;
}

ZEND_FUNCTION(crash_fpe) {
  ZEND_PARSE_PARAMETERS_NONE();
  volatile int quotient = 7 / zero;
  (void)quotient;
}

ZEND_FUNCTION(crash_ill) {
  ZEND_PARSE_PARAMETERS_NONE();
#if defined(__x86_64__)
  __asm__ volatile("ud2");
#else
  __asm__ volatile(".inst 0");
#endif
}

/* A mapped file that has been cut short. */
ZEND_FUNCTION(crash_bus) {
  ZEND_PARSE_PARAMETERS_NONE();
  char path[] = "/tmp/igor-crash-XXXXXX";
  const int file = mkstemp(path);
  unlink(path);
  volatile char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  memory[0] = 1;
}

ZEND_FUNCTION(crash_abort) {
  ZEND_PARSE_PARAMETERS_NONE();
  abort();
}

/* The C library finds out that its heap is corrupted. */
ZEND_FUNCTION(crash_heap) {
  ZEND_PARSE_PARAMETERS_NONE();
  char *memory = malloc(2000);
  free((char *)(uintptr_t)((uintptr_t)memory + (uintptr_t)zero + 16));
}

/* PHP's own allocator does. */
ZEND_FUNCTION(crash_zend_heap) {
  ZEND_PARSE_PARAMETERS_NONE();
  const size_t chunk = 2u << 20;
  char *memory = mmap(NULL, 2 * chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  efree((char *)(((uintptr_t)memory + chunk) & ~(uintptr_t)(chunk - 1)) + 4096);
}

static __attribute__((noinline)) int descend(volatile char *above) {
  volatile char here[512];
  here[0] = (char)(above[0] + 1);
  return descend(here) + here[0];
}

ZEND_FUNCTION(crash_stack) {
  ZEND_PARSE_PARAMETERS_NONE();
  volatile char top[1] = {0};
  RETURN_LONG(descend(top));
}

static void *thread(void *unused) {
  (void)unused;
  *(volatile int *)nowhere = 1;
  return NULL;
}

/* On a thread of the extension's own. */
ZEND_FUNCTION(crash_thread) {
  ZEND_PARSE_PARAMETERS_NONE();
  pthread_t made;
  pthread_create(&made, NULL, thread, NULL);
  pthread_join(made, NULL);
}

/* Two threads at once. */
static void *at_once(void *barrier) {
  pthread_barrier_wait(barrier);
  *(volatile int *)nowhere = 1;
  return NULL;
}

ZEND_FUNCTION(crash_twice) {
  ZEND_PARSE_PARAMETERS_NONE();
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_t made;
  pthread_create(&made, NULL, at_once, &barrier);
  at_once(&barrier);
}

/* What the report would read is spoilt as well. */
ZEND_FUNCTION(crash_engine) {
  ZEND_PARSE_PARAMETERS_NONE();
  EG(current_execute_data) = (zend_execute_data *)(uintptr_t)64;
  *(volatile int *)nowhere = 1;
}

/* Blocks where no signal reaches PHP. */
ZEND_FUNCTION(crash_hang_in_c) {
  zend_long seconds;
  ZEND_PARSE_PARAMETERS_START(1, 1)
    Z_PARAM_LONG(seconds)
  ZEND_PARSE_PARAMETERS_END();
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (unsigned left = (unsigned)seconds; left > 0;) left = sleep(left);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

ZEND_BEGIN_ARG_INFO_EX(arginfo_none, 0, 0, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_INFO_EX(arginfo_seconds, 0, 0, 1)
  ZEND_ARG_TYPE_INFO(0, seconds, IS_LONG, 0)
ZEND_END_ARG_INFO()

static const zend_function_entry functions[] = {
  ZEND_FE(crash_segv, arginfo_none)
  ZEND_FE(crash_fpe, arginfo_none)
  ZEND_FE(crash_ill, arginfo_none)
  ZEND_FE(crash_bus, arginfo_none)
  ZEND_FE(crash_abort, arginfo_none)
  ZEND_FE(crash_heap, arginfo_none)
  ZEND_FE(crash_zend_heap, arginfo_none)
  ZEND_FE(crash_stack, arginfo_none)
  ZEND_FE(crash_thread, arginfo_none)
  ZEND_FE(crash_twice, arginfo_none)
  ZEND_FE(crash_engine, arginfo_none)
  ZEND_FE(crash_hang_in_c, arginfo_seconds)
  ZEND_FE_END
};

static PHP_RINIT_FUNCTION(crash) {
  (void)type;
  (void)module_number;
  ZEND_TSRMLS_CACHE_UPDATE();
  return SUCCESS;
}

/* The server shall not start: a crash while extensions are loaded. */
static PHP_MINIT_FUNCTION(crash) {
  (void)type;
  (void)module_number;
  if (getenv("CRASH_AT_START")) *(volatile int *)nowhere = 1;
  return SUCCESS;
}

zend_module_entry crash_module_entry = {
  STANDARD_MODULE_HEADER, "crash", functions, PHP_MINIT(crash), NULL, PHP_RINIT(crash), NULL, NULL, "1",
  STANDARD_MODULE_PROPERTIES
};

ZEND_GET_MODULE(crash)
