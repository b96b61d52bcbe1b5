// Why a task, or a run of a worker's script, ended other than by an explicit completion.
//
// A Failure is plain text and numbers, made on the worker's side and read on the sender's, so that it can
// cross threads (and one day processes). It is written once, before the task's end is published.
//
// An end must arrive even when there is no memory left to describe it. So the reason is a number, and texts that
// find no memory are left out: explain() and copying never throw.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace igor {

// The numbers are stable: they cross the C ABI and metrics labels are made from the names.
enum class Reason : uint8_t {
  Exited = 0,             // the script returned or called exit() while it held the task
  UncaughtException = 1,  // an exception ended the script, or the code that held the task
  FatalError = 2,         // an error that PHP cannot recover from
  MemoryLimit = 3,        // memory_limit was reached
  Deadline = 4,           // the task's wall-clock time ran out
  WorkerLost = 5,         // the worker's thread could not be ended, or its process died
  Shutdown = 6,           // the pool was told to stop before the task could run or finish
  Abandoned = 7,          // the worker let go of the task without ending it
};

inline std::string_view reason_name(Reason reason) noexcept {
  switch (reason) {
    case Reason::Exited:
      return "Exited";
    case Reason::UncaughtException:
      return "UncaughtException";
    case Reason::FatalError:
      return "FatalError";
    case Reason::MemoryLimit:
      return "MemoryLimit";
    case Reason::Deadline:
      return "Deadline";
    case Reason::WorkerLost:
      return "WorkerLost";
    case Reason::Shutdown:
      return "Shutdown";
    case Reason::Abandoned:
      return "Abandoned";
  }
  return "Unknown";
}

struct Failure {
  Failure() = default;
  Failure(const Failure& other) noexcept;
  Failure(Failure&&) noexcept = default;
  Failure& operator=(Failure other) noexcept;
  Failure(Reason why, std::initializer_list<std::string_view> parts) noexcept : reason(why) { explain(parts); }
  // Replaces the message by the parts, one after the other.
  void explain(std::initializer_list<std::string_view> parts) noexcept;

  Reason reason = Reason::Abandoned;
  int exit_status = 0;     // the script's, where there was one
  std::string class_name;  // of the exception; empty for other reasons
  std::string message;
  std::string file;
  uint32_t line = 0;
  std::string trace;  // as text
};

}  // namespace igor
