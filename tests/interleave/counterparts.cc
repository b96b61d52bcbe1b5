// What the core takes from the system, in virtual: its threads, its timers, the clock, and the level of its
// descriptors; and a log that keeps nothing. Linked in the place of module/os_thread.cc, timers.cc, activity.cc and
// log.cc.
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

#include "module/activity.h"
#include "module/clock.h"
#include "module/log.h"
#include "module/os_thread.h"
#include "module/timers.h"
#include "tests/interleave/scheduler.h"

namespace igor {

using interleave::Scheduler;

namespace {
// Made before any execution, so that none is thought to leak them.
Timers timers;
LogQueue queue;

// The scheduler keeps what it runs in a std::function.
template <typename Function>
std::function<void()> copyable(Function&& function) {
  return [shared = std::make_shared<std::decay_t<Function>>(std::move(function))] { (*shared)(); };
}
}  // namespace

TimePoint now() noexcept {
  return Scheduler::current() != nullptr ? Scheduler::current()->now() : TimePoint{};
}

// --- threads -------------------------------------------------------------------------------------------

OsThread::~OsThread() {
  if (started_) std::abort();
}

int OsThread::start(std::string_view name, Body body, size_t) noexcept {
  handle_ = Scheduler::current()->spawn(std::string(name), copyable(std::move(body)));
  started_ = true;
  return 0;
}

void OsThread::join() {
  if (started_) Scheduler::current()->join(static_cast<interleave::ThreadId>(handle_));
  started_ = false;
}

void OsThread::abandon() {
  started_ = false;
}

bool OsThread::is_current() noexcept {
  return false;
}
void OsThread::nudge() const noexcept {}
void OsThread::nudge(pthread_t) noexcept {}
AsyncSignalsBlocked::AsyncSignalsBlocked() noexcept : before_{} {}
AsyncSignalsBlocked::~AsyncSignalsBlocked() = default;

// --- timers --------------------------------------------------------------------------------------------

Timers& Timers::global() {
  return timers;
}

Timers::~Timers() = default;

int Timers::start() noexcept {
  return 0;
}

Timers::Id Timers::schedule(TimePoint at, Function function) noexcept {
  return Scheduler::current()->set_timer(at, copyable(std::move(function)));
}

void Timers::cancel(Id id) noexcept {
  if (Scheduler::current() != nullptr) Scheduler::current()->cancel_timer(id);
}

// --- the log -------------------------------------------------------------------------------------------

LogQueue& LogQueue::global() {
  return queue;
}

void LogQueue::push(LogRecord) noexcept {}
void LogQueue::count_dropped() noexcept {}

// --- spinning: never, since nobody else runs meanwhile -----------------------------------------------------

namespace activity {
void thread_started() noexcept {}
void thread_stopped() noexcept {}
void idle_begin() noexcept {}
void idle_end() noexcept {}
bool worth_spinning() noexcept {
  return false;
}
int current_cpu() noexcept {
  return -1;
}
}  // namespace activity

}  // namespace igor

// --- descriptors: the linker sends the core's reads and writes of an eventfd here (--wrap) -------------------

extern "C" {
ssize_t __real_read(int fd, void* data, size_t size);
ssize_t __real_write(int fd, const void* data, size_t size);

ssize_t __wrap_read(int fd, void* data, size_t size) {
  if (igor::interleave::Scheduler::current() != nullptr) igor::interleave::Scheduler::current()->edge(fd);
  return __real_read(fd, data, size);
}
ssize_t __wrap_write(int fd, const void* data, size_t size) {
  if (igor::interleave::Scheduler::current() != nullptr) igor::interleave::Scheduler::current()->edge(fd);
  return __real_write(fd, data, size);
}
}
