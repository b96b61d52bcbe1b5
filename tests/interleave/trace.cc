#include "tests/interleave/trace.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <cstdlib>
#include <sstream>
#include <string_view>

namespace igor::interleave {
namespace {

constexpr std::array kNames = {
    "begins",       "loads",     "stores",        "modifies", "adds to",           "locks",
    "locks shared", "sleeps on", "wakes",         "waits on", "notifies",          "timeout of",
    "goes on",      "timers",    "a timer fires", "polls",    "sets the level of", "joins"};

std::string name_of(void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0 || info.dli_sname == nullptr) return {};
  int status = 0;
  char* const plain = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string name = status == 0 ? plain : info.dli_sname;
  std::free(plain);
  return name.substr(0, name.find('('));
}

bool of_interest(std::string_view name) {
  if (!name.starts_with("igor::")) return false;
  for (const std::string_view other :
       {"igor::interleave::", "igor::Atomic<", "igor::Mutex", "igor::SharedMutex", "igor::Condition", "igor::Ref<",
        "igor::futex_", "igor::ReferenceCount", "igor::OsThread", "igor::Timers"}) {
    if (name.starts_with(other)) return false;
  }
  return true;
}

}  // namespace

std::string describe(const Operation& operation) {
  std::string text = kNames.at(static_cast<size_t>(operation.kind));
  if (operation.object != 0) text += " #" + std::to_string(operation.object);
  return text;
}

std::string here() {
  std::array<void*, 32> frames;
  const int depth = backtrace(frames.data(), static_cast<int>(frames.size()));
  std::string text;
  int found = 0;
  for (int i = 0; i < depth && found < 2; ++i) {
    const std::string name = name_of(frames[static_cast<size_t>(i)]);
    if (!of_interest(name)) continue;
    text += (found++ == 0 ? "" : " <- ") + name.substr(6);
  }
  return text;
}

std::string text_of(const std::vector<ThreadId>& schedule) {
  std::ostringstream text;
  for (size_t i = 0; i < schedule.size();) {
    size_t end = i;
    while (end < schedule.size() && schedule[end] == schedule[i]) ++end;
    text << (i == 0 ? "" : " ") << int{schedule[i]};
    if (end - i > 1) text << '*' << end - i;
    i = end;
  }
  return text.str();
}

std::vector<ThreadId> schedule_of(const std::string& text) {
  std::vector<ThreadId> schedule;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    char* rest = nullptr;
    const auto thread = static_cast<ThreadId>(std::strtoul(word.c_str(), &rest, 10));
    schedule.insert(schedule.end(), *rest == '*' ? std::strtoul(rest + 1, nullptr, 10) : 1, thread);
  }
  return schedule;
}

}  // namespace igor::interleave
