// The command line taken apart: PHP's own option syntax, with php_getopt(), plus --worker.
#pragma once

#include <string>
#include <vector>

#include "sapi/cli.h"

namespace igor::sapi {

struct CliOptions {
  enum class Mode { Script, Code, Lint, Highlight, Strip, Info, Version, Modules, IniFiles, ExtensionInfo, Help };

  Mode mode = Mode::Script;
  std::string ini;  // of -d, as php.ini text
  std::string ini_path;
  bool ini_ignore = false;
  bool extended_info = false;
  bool hide_arguments = false;
  std::string code;       // of -r
  std::string script;     // empty: standard input
  std::string extension;  // of --ri
  std::vector<std::string> workers;
  std::vector<char*> arguments;  // what follows the script, without it
};

// False with what to print on standard error; the exit status is then 1.
bool parse_cli_options(int argc, char** argv, CliOptions& options, std::string& error);

std::string cli_usage(const char* program);

}  // namespace igor::sapi
