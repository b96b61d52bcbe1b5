#include "sapi/cli_options.h"

#include <cctype>
#include <cstdlib>
#include <cstring>

#include "sapi/zend.h"
// After zend.h.
extern "C" {
#include <php_getopt.h>
}

namespace igor::sapi {
namespace {

enum LongOption { kExtensionInfo = 14, kIniFiles = 15, kWorker = 17 };

const opt_struct kOptions[] = {{'C', 0, const_cast<char*>("no-chdir")},
                               {'c', 1, const_cast<char*>("php-ini")},
                               {'d', 1, const_cast<char*>("define")},
                               {'e', 0, const_cast<char*>("profile-info")},
                               {'f', 1, const_cast<char*>("file")},
                               {'h', 0, const_cast<char*>("help")},
                               {'?', 0, const_cast<char*>("usage")},
                               {'H', 0, const_cast<char*>("hide-args")},
                               {'i', 0, const_cast<char*>("info")},
                               {'l', 0, const_cast<char*>("syntax-check")},
                               {'m', 0, const_cast<char*>("modules")},
                               {'n', 0, const_cast<char*>("no-php-ini")},
                               {'q', 0, const_cast<char*>("no-header")},
                               {'r', 1, const_cast<char*>("run")},
                               {'s', 0, const_cast<char*>("syntax-highlight")},
                               {'v', 0, const_cast<char*>("version")},
                               {'w', 0, const_cast<char*>("strip")},
                               {'z', 1, const_cast<char*>("zend-extension")},
                               {kExtensionInfo, 1, const_cast<char*>("ri")},
                               {kExtensionInfo, 1, const_cast<char*>("rextinfo")},
                               {kIniFiles, 0, const_cast<char*>("ini")},
                               {kWorker, 1, const_cast<char*>("worker")},
                               {'-', 0, nullptr}};

// -d foo=bar, as PHP's CLI understands it: quotes where the value begins with neither a letter, a digit
// nor a quote; foo alone means 1.
void append_definition(std::string& ini, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) {
    ini.append(text).append("=1\n");
    return;
  }
  const char first = equals + 1 < text.size() ? text[equals + 1] : '\0';
  if (std::isalnum(static_cast<unsigned char>(first)) || first == '"' || first == '\'' || first == '\0') {
    ini.append(text).append("\n");
  } else {
    ini.append(text, 0, equals + 1).append("\"").append(text, equals + 1).append("\"\n");
  }
}

}  // namespace

bool parse_cli_options(int argc, char** argv, CliOptions& options, std::string& error) {
  using Mode = CliOptions::Mode;
  char* value = nullptr;
  int at = 1;
  int option;
  const auto choose = [&](Mode mode) {
    if (options.mode == Mode::Script) options.mode = mode;
  };
  while ((option = php_getopt(argc, argv, kOptions, &value, &at, 0, 2)) != -1) {
    switch (option) {
      case 'C':
      case 'q':
        break;  // how it is anyway
      case 'c':
        options.ini_path = value;
        break;
      case 'd':
        append_definition(options.ini, value);
        break;
      case 'e':
        options.extended_info = true;
        break;
      case 'H':
        options.hide_arguments = true;
        break;
      case 'n':
        options.ini_ignore = true;
        break;
      case 'z':
        options.ini.append("zend_extension=").append(value).append("\n");
        break;
      case 'f':
        if (!options.script.empty()) {
          error = "You can use -f only once.\n";
          return false;
        }
        options.script = value;
        break;
      case 'r':
        if (options.mode != Mode::Script || !options.script.empty()) {
          error = "Either execute direct code or use a file, and use -r only once.\n";
          return false;
        }
        options.mode = Mode::Code;
        options.code = value;
        break;
      case 'l':
        choose(Mode::Lint);
        break;
      case 's':
        choose(Mode::Highlight);
        break;
      case 'w':
        choose(Mode::Strip);
        break;
      case 'i':
        choose(Mode::Info);
        break;
      case 'v':
        choose(Mode::Version);
        break;
      case 'm':
        choose(Mode::Modules);
        break;
      case 'h':
      case '?':
        choose(Mode::Help);
        break;
      case kIniFiles:
        choose(Mode::IniFiles);
        break;
      case kExtensionInfo:
        choose(Mode::ExtensionInfo);
        options.extension = value;
        break;
      case kWorker:
        options.workers.emplace_back(value);
        break;
      default:
        error = "This option is not offered here.\n\n" + cli_usage(argv[0]);
        return false;
    }
  }
  const bool after_dashes = at > 1 && std::strcmp(argv[at - 1], "--") == 0;
  const bool wants_script = options.mode != Mode::Code;
  if (wants_script && options.script.empty() && !after_dashes && at < argc) options.script = argv[at++];
  for (; at < argc; ++at) options.arguments.push_back(argv[at]);
  return true;
}

std::string cli_usage(const char* program) {
  std::string name = program;
  if (const size_t slash = name.rfind('/'); slash != std::string::npos) name.erase(0, slash + 1);
  if (name != "igor-php") name += " php-cli";  // a command of the server's program
  return "Usage: " + name + " [options] [-f] <file> [--] [args...]\n" + "       " + name +
         " [options] -r <code> [--] [args...]\n" + "       " + name +
         " [options] -- [args...]           (the script comes from standard input)\n"
         "\n"
         "  -c <path>|<file> Look for php.ini here\n"
         "  -n               Use no php.ini\n"
         "  -d foo[=bar]     Set an ini entry\n"
         "  -e               Generate extended information for debuggers and profilers\n"
         "  -f <file>        Run this file\n"
         "  -r <code>        Run this code (without <?php)\n"
         "  -l               Check the syntax only\n"
         "  -s               Print the source with HTML highlighting\n"
         "  -w               Print the source without comments and whitespace\n"
         "  -i               phpinfo()\n"
         "  -m               List the modules\n"
         "  -v               Show the version\n"
         "  -H               Hide the arguments from other processes\n"
         "  -z <file>        Load this Zend extension\n"
         "  --ini            Show the configuration files\n"
         "  --ri <name>      Show an extension's configuration\n"
         "  --worker name=file[,num=N][,queue=N]...\n"
         "                   Run a background worker in this process; also by IGOR_WORKERS, ';' between them\n";
}

bool parse_cli_worker(const std::string& text, CliWorker& worker, std::string& error) {
  const auto complain = [&](const std::string& what) {
    error = "worker \"" + text + "\": " + what + "; write name=file[,option=value...]";
    return false;
  };
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return complain("there is no '=' between name and file");
  worker.name = text.substr(0, equals);
  size_t at = text.find(',', equals);
  worker.file = text.substr(equals + 1, at == std::string::npos ? at : at - equals - 1);
  if (worker.file.empty()) return complain("the file is missing");
  while (at != std::string::npos) {
    const size_t from = at + 1;
    at = text.find(',', from);
    const std::string option = text.substr(from, at == std::string::npos ? at : at - from);
    const size_t sign = option.find('=');
    if (sign == std::string::npos || sign == 0) return complain("\"" + option + "\" is not an option=value");
    worker.options.emplace_back(option.substr(0, sign), option.substr(sign + 1));
  }
  return true;
}

}  // namespace igor::sapi
