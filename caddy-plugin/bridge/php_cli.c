// `php-cli` is a program of PHP's alone: it takes the process over before there is a Go runtime.
//
// A command of Go's could call the library just as well, but signals come to whatever thread of the process does not block
// them. Go's threads block none, and PHP's handlers crash on a thread that PHP does not know. There are no such threads
// here, and sigwait(), alarms and Ctrl-C are what they are under PHP's own command line.
//
// It runs before main(), with the arguments that the C library (glibc) gives to constructors. Those of the library have a
// priority and so come before it; other code of the library must need none (tests/rules/initialisers).
#include <stdlib.h>
#include <string.h>

#include "igor.h"

__attribute__((constructor)) static void run_php_cli(int argc, char **argv, char **envp) {
  (void)envp;
  if (argc < 2 || strcmp(argv[1], "php-cli") != 0) return;
  argv[1] = argv[0];
  exit(igor_cli_main(argc - 1, argv + 1));
}
