// One execution of a scenario: virtual threads on fibers, of which one runs at a time, and at each of their steps
// the strategy's word on who goes on.
//
// A thread is enabled when its next step can be taken: the lock that it wants is free, the thread that it joins has
// ended, the descriptor that it polls is readable. One that sleeps is not, unless it has a deadline. If none is
// enabled while some still sleep or wait, that is a deadlock or a lost wake-up, and a violation.
//
// Time is virtual and passes only by deadlines that come. One that is at most `patience` off may come at any step:
// the machine was slow. A farther one comes only when nobody can go on otherwise; in a scenario that does not
// expect that (`may_stall`) it is a violation, since a wake-up that a timeout stands in for was lost all the
// same. Reading the clock is no step; deadlines are. Of those that come while somebody could go on there are at
// most `hurries` in an execution: a timer that sets itself again would otherwise be all that happens.
//
// A violation ends the execution where it is: what the threads own is not destroyed.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "module/clock.h"
#include "tests/interleave/fiber.h"
#include "tests/interleave/object.h"

namespace igor::interleave {

inline constexpr size_t kMostThreads = 16;
using ThreadSet = uint16_t;  // a bit each
constexpr ThreadSet only(ThreadId thread) noexcept {
  return static_cast<ThreadSet>(1u << thread);
}

// A state in which somebody is to go on.
struct Moment {
  ThreadSet enabled;
  ThreadSet timed;   // of these: time has to pass for them
  ThreadId current;  // who took the last step
  const std::array<Operation, kMostThreads>& next;
};

// Who goes on. Called by the scheduler alone.
class Strategy {
 public:
  virtual ~Strategy() = default;
  // Before each execution. False: there is none left.
  virtual bool begin() = 0;
  virtual ThreadId choose(const Moment& moment) = 0;
  // What `before` did so far comes before all that `after` will do.
  virtual void ordered(ThreadId before, ThreadId after) { static_cast<void>(before), static_cast<void>(after); }
  virtual void released(ThreadId thread, ObjectId lock, bool shared) {
    static_cast<void>(thread), static_cast<void>(lock), static_cast<void>(shared);
  }
  // A step on the object by another thread must not be possible later.
  virtual void destroyed(ThreadId thread, ObjectId object) { static_cast<void>(thread), static_cast<void>(object); }
};

struct Settings {
  std::optional<int> preemptions;  // at most so many per schedule; none: all schedules
  uint32_t random = 0;             // so many random schedules instead
  bool reference_counts = false;   // these are steps too
  Duration patience = std::chrono::milliseconds(100);
  int hurries = 4;
  bool may_stall = false;
  bool count_leaks = true;
  uint64_t at_least = 2;  // schedules; fewer mean that the scenario explores nothing
  uint64_t at_most = 2'000'000;
};

struct Violation {
  std::string what;
  std::vector<ThreadId> schedule;
};

class Scheduler {
 public:
  using Body = std::function<void()>;

  explicit Scheduler(const Settings& settings) : settings_(settings) {}

  // `verbose`: prints each step.
  std::optional<Violation> run(const Body& scenario, Strategy& strategy, bool verbose = false);

  // Of the last execution.
  const std::vector<ThreadId>& schedule() const noexcept { return schedule_; }

  // The one that runs the calling virtual thread; null elsewhere.
  static Scheduler* current() noexcept;
  static uint32_t execution() noexcept;

  // --- on virtual threads ---------------------------------------------------------------------------

  ThreadId spawn(std::string name, Body body);
  void join(ThreadId thread);
  void join_others();  // all but the timers' thread
  [[noreturn]] void fail(std::string what);
  void say(const std::string& what);  // for the reader of a verbose run

  void step(Kind kind, const Object& object);
  void count_step(Kind kind, const Object& object);
  void lock(LockState& state, bool shared);
  void unlock(LockState& state, bool shared);
  bool wait(Object& condition, LockState& state, TimePoint deadline);
  void notify(Object& condition, bool all);
  void sleep(const Object& word, const uint32_t& value, uint32_t expected, TimePoint deadline);
  void wake(const Object& word);
  void destroyed(ObjectId object);
  ObjectId new_object() noexcept { return ++objects_; }

  TimePoint now() const noexcept { return clock_; }
  uint64_t set_timer(TimePoint at, Body function);
  void cancel_timer(uint64_t id);
  // Until the descriptor is readable.
  void poll(int fd);
  void edge(int fd);

 private:
  static constexpr size_t kMostSteps = 20'000;

  enum class Status : uint8_t { Ready, Asleep, Ended };
  struct Thread {
    std::string name;
    Body body;
    Status status = Status::Ready;
    bool timed_out = false;
    bool timers = false;          // the one that runs the timers' functions: nobody waits for its end
    LockState* wants = nullptr;   // Lock, LockShared
    ThreadId joins = kNobody;     // Join
    int fd = -1;                  // Poll
    TimePoint deadline = kNever;  // Asleep
    uint64_t asleep_since = 0;
  };

  static constexpr ThreadId kOthers = kNobody - 1;

  bool ended(ThreadId thread) const noexcept;
  static void enter();
  void yield();
  ThreadId pick();
  bool enabled(ThreadId id, bool& timed) const;
  bool near(TimePoint deadline) const noexcept { return deadline != kNever && deadline - clock_ <= settings_.patience; }
  std::optional<ThreadId> stalled(TimePoint& deadline) const;
  void taken(ThreadId id);
  void finish(ThreadId id);
  bool fall_asleep(const Operation& on, TimePoint deadline);
  bool rouse(ObjectId object, bool all);
  void run_timers();
  std::string who_waits() const;
  void print() const;
  LockState& known(LockState& state);

  const Settings settings_;
  Strategy* strategy_ = nullptr;
  bool verbose_ = false;
  std::vector<Thread> threads_;
  std::array<Operation, kMostThreads> next_{};
  ThreadId current_ = kNobody;
  std::vector<ThreadId> schedule_;
  std::optional<Violation> violation_;
  TimePoint clock_{};
  ObjectId objects_ = 0;
  uint64_t sleeps_ = 0;
  int hurried_ = 0;

  Object timers_;
  std::multimap<TimePoint, std::pair<uint64_t, Body>> timer_queue_;
  uint64_t last_timer_ = 0;
  ThreadId timer_thread_ = kNobody;
  std::map<int, std::unique_ptr<Object>> descriptors_;
};

}  // namespace igor::interleave
