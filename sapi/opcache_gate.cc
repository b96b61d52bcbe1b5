#include "sapi/opcache_gate.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "module/log.h"

namespace igor::sapi {
namespace {

void say(int level, const char* message) {
  LogRecord record;
  record.logger = "php";
  record.level = level;
  record.message = message;
  LogQueue::global().push(std::move(record));
}

}  // namespace

OpcacheGate& OpcacheGate::instance() {
  static OpcacheGate* gate = new OpcacheGate;  // never destroyed: threads left behind may still pass it
  return *gate;
}

int OpcacheGate::find_lock_file() {
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return -1;
  int found = -1;
  int error = ENOENT;
  while (const dirent* entry = readdir(folder)) {
    const std::string link = std::string("/proc/self/fd/") + entry->d_name;
    char target[64];
    const ssize_t size = readlink(link.c_str(), target, sizeof target);
    if (size <= 0 || std::string_view(target, static_cast<size_t>(size)) != "/memfd:opcache_lock (deleted)") continue;
    // Opened anew, not duplicated: locks of the kind that is taken here belong to what open() makes.
    found = ::open(link.c_str(), O_RDWR | O_CLOEXEC);
    if (found < 0) error = errno;
    break;
  }
  closedir(folder);
  errno = error;
  return found;
}

void OpcacheGate::open(int lock_file, std::function<void()> end_long_runs) {
  Lock lock(mutex_);
  lock_file_ = lock_file;
  end_long_runs_ = std::move(end_long_runs);
  pause_ = kSoonest;
  if (lock_file_ >= 0) hold_file(true);
}

void OpcacheGate::close() {
  Lock lock(mutex_);
  if (timer_ != 0) Timers::global().cancel(timer_);
  timer_ = 0;
  end_long_runs_ = nullptr;
  wanted_.store(false, std::memory_order_relaxed);
  reopen(lock);
  if (lock_file_ >= 0) ::close(lock_file_);
  lock_file_ = -1;
}

// Opcache looks for a conflict with a write lock on this byte, and takes read locks there itself.
void OpcacheGate::hold_file(bool hold) noexcept {
  struct flock usage = {};
  usage.l_type = hold ? F_RDLCK : F_UNLCK;
  usage.l_whence = SEEK_SET;
  usage.l_start = 1;
  usage.l_len = 1;
  while (fcntl(lock_file_, F_OFD_SETLK, &usage) < 0 && errno == EINTR) {
  }
}

bool OpcacheGate::enter() {
  if ((state_.fetch_add(kOneScript, std::memory_order_acq_rel) & kClosed) == 0) return false;
  Lock lock(mutex_);
  state_.fetch_sub(kOneScript, std::memory_order_acq_rel);
  changed_.notify_all();  // it may have looked as if one ran
  for (;;) {
    if (!somebody_alone_ && !closed()) break;
    if (!somebody_alone_ && nobody_runs()) {
      somebody_alone_ = true;
      hold_file(false);
      state_.fetch_add(kOneScript, std::memory_order_acq_rel);
      return true;
    }
    if (!somebody_alone_ && now() >= patience_ends_) {
      reopen(lock);
      try_later(lock);
      say(kLogWarn,
          "opcache is full and has to start over, but a script does not end: until it does, scripts that are not in "
          "opcache are compiled each time");
      break;
    }
    // Whoever is alone is in request startup, which is short but has no deadline.
    if (somebody_alone_) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, patience_ends_);
    }
  }
  state_.fetch_add(kOneScript, std::memory_order_acq_rel);
  return false;
}

void OpcacheGate::started(bool alone, bool succeeded) {
  if (!alone) return;
  Lock lock(mutex_);
  hold_file(true);
  somebody_alone_ = false;
  if (!succeeded) {
    reopen(lock);
    try_later(lock);
    return;
  }
  pause_ = kSoonest;
  wanted_.store(false, std::memory_order_relaxed);
  restarts_.fetch_add(1, std::memory_order_relaxed);
  reopen(lock);
  say(kLogInfo, "opcache was full and has started over");
}

void OpcacheGate::leave() {
  const uint32_t before = state_.fetch_sub(kOneScript, std::memory_order_acq_rel);
  if ((before & kClosed) == 0 || before >= 2 * kOneScript + kClosed) return;
  Lock lock(mutex_);
  changed_.notify_all();
}

void OpcacheGate::want_restart() {
  if (wanted_.exchange(true, std::memory_order_relaxed)) return;
  Lock lock(mutex_);
  if (lock_file_ < 0) return;
  timer_ = Timers::global().schedule(now(), [this] { try_now(); });
}

// On the timers' thread.
void OpcacheGate::try_now() {
  std::function<void()> end_long_runs;
  {
    Lock lock(mutex_);
    timer_ = 0;
    if (lock_file_ < 0 || closed()) return;
    patience_ends_ = now() + kPatience;
    state_.fetch_or(kClosed, std::memory_order_acq_rel);
    end_long_runs = end_long_runs_;
  }
  if (end_long_runs) end_long_runs();
}

void OpcacheGate::reopen(const Lock&) {
  state_.fetch_and(~kClosed, std::memory_order_acq_rel);
  changed_.notify_all();
}

void OpcacheGate::try_later(const Lock&) {
  timer_ = Timers::global().schedule(now() + pause_, [this] { try_now(); });
  pause_ = std::min(2 * pause_, kLatest);
}

}  // namespace igor::sapi
