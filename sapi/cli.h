// The command line of this SAPI: enough of PHP's own CLI that PHP's test runner and people's scripts can use
// it, and, on top of that, background workers inside the command's process.
//
// PHP_SAPI is "cli" here, because scripts and libraries ask for it before they use STDIN or colours. The
// script runs on a PHP thread like any other, with a stack of known size, and not on the engine's main
// thread; while it runs, the process's signals are delivered to it and to nobody else, so that pcntl works.
//
// Workers: `--worker name=file[,option=value...]`, repeated, or the variable IGOR_WORKERS with the same
// entries separated by ';'. Relative files are looked for beside the script. What workers log goes to
// standard error, or where IGOR_WORKER_LOG says ("none", or a file to append to).
//
// Threads: cli_main() takes the calling thread and the process over. Not to be mixed with a server's engine.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "sapi/php_thread.h"

struct _zend_module_entry;
struct _zval_struct;

namespace igor::sapi {

struct CliWorker {
  std::string name;
  std::string file;                                          // absolute
  std::vector<std::pair<std::string, std::string>> options;  // as given: num, queue, ...
};

// What the rooms above do for the command line.
class CliHost {
 public:
  virtual ~CliHost() = default;
  // Called once before the script, with PHP running, when there is at least one worker. `scope` is where
  // the script resolves their names. False with a sentence.
  virtual bool start_workers(const std::vector<CliWorker>& workers, Scope*& scope, std::string& error) = 0;
  // Called once after the script, when start_workers() was.
  virtual void stop_workers() = 0;
};

// Takes "name=file,option=value,..." apart. False with a sentence.
bool parse_cli_worker(const std::string& text, CliWorker& worker, std::string& error);

// Returns the exit status. argv[0] is the program.
int cli_main(int argc, char** argv, _zend_module_entry* extension, CliHost& host);

// --- The engine's callbacks of the script's thread ------------------------------------------------------

bool cli_mode() noexcept;
void set_cli_mode(bool on) noexcept;
size_t cli_write(const char* data, size_t size);
void cli_flush();
void register_cli_variables(_zval_struct* variables);

}  // namespace igor::sapi
