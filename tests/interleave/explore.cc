#include "tests/interleave/explore.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tests/interleave/depth_first.h"
#include "tests/interleave/random_order.h"
#include "tests/interleave/trace.h"

namespace igor::interleave {
namespace {

using Wall = std::chrono::steady_clock;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Expectations that failed inside of an execution count too.
void look_at_expectations(std::optional<Violation>& violation, const std::vector<ThreadId>& schedule) {
  if (!violation && testing::Test::HasFailure()) violation = Violation{"an expectation failed, see above", schedule};
}

class Search {
 public:
  Search(const Settings& settings, const std::function<void()>& scenario) : settings_(settings), scenario_(scenario) {}

  std::optional<Violation> all() {
    const Wall::time_point began = Wall::now();
    const uint64_t seconds = number_from("IGOR_INTERLEAVE_SECONDS", 0);
    const auto time_left = [&] { return Wall::now() - began < std::chrono::seconds(seconds); };
    std::optional<Violation> violation;
    {
      // What is made once per process is made before anything counts.
      Settings settings = settings_;
      settings.count_leaks = false;
      Replay first({});
      Scheduler scheduler(settings);
      violation = scheduler.run(scenario_, first);
      look_at_expectations(violation, scheduler.schedule());
      if (violation) return violation;
    }
    if (settings_.random != 0) {
      RandomOrder random(number_from("IGOR_INTERLEAVE_SEED", 1), 0);
      while (!violation && (schedules_ < settings_.random || time_left())) violation = run(random);
      note(std::to_string(schedules_) + " random schedules");
    } else if (!settings_.preemptions) {
      violation = depth_first({}, [] { return true; });
    } else {
      violation = depth_first(settings_.preemptions, [] { return true; });
      for (int more = *settings_.preemptions + 1; !violation && seconds != 0 && time_left(); ++more) {
        const uint64_t before = schedules_;
        violation = depth_first(more, time_left);
        if (schedules_ - before == before) break;  // there are no others
      }
    }
    return violation;
  }

  uint64_t schedules() const noexcept { return schedules_; }

 private:
  std::optional<Violation> run(Strategy& strategy) {
    if (!strategy.begin()) return {};
    Scheduler scheduler(settings_);
    auto violation = scheduler.run(scenario_, strategy);
    look_at_expectations(violation, scheduler.schedule());
    ++schedules_;
    return violation;
  }

  template <typename GoOn>
  std::optional<Violation> depth_first(std::optional<int> preemptions, GoOn go_on) {
    DepthFirst strategy(preemptions);
    Scheduler scheduler(settings_);
    const uint64_t before = schedules_;
    bool all = false;
    std::optional<Violation> violation;
    while (!violation && go_on() && !(all = !strategy.begin())) {
      if (++schedules_ - before > settings_.at_most) {
        violation = Violation{"more than " + std::to_string(settings_.at_most) + " schedules: bound the scenario", {}};
        break;
      }
      violation = scheduler.run(scenario_, strategy);
      look_at_expectations(violation, scheduler.schedule());
    }
    const std::string which =
        preemptions ? "with at most " + std::to_string(*preemptions) + " preemptions" : "all there are";
    note(std::to_string(schedules_ - before) + " schedules, " + which + (all ? "" : ", not to the end") +
         (preemptions ? "" : " (" + std::to_string(strategy.repeated()) + " repeated others)"));
    return violation;
  }

  static void note(const std::string& text) { std::printf("             %s\n", text.c_str()); }

  const Settings& settings_;
  const std::function<void()>& scenario_;
  uint64_t schedules_ = 0;
};

void show(const Settings& settings, const std::function<void()>& scenario, const std::vector<ThreadId>& schedule) {
  Replay replay(schedule);
  Scheduler scheduler(settings);
  const auto violation = scheduler.run(scenario, replay, true);
  std::fprintf(stderr, "%s\n", violation ? violation->what.c_str() : "nothing is wrong with it");
}

}  // namespace

std::optional<Violation> search(const Settings& settings, const std::function<void()>& scenario) {
  return Search(settings, scenario).all();
}

void explore(const Settings& settings, const std::function<void()>& scenario) {
  if (const char* const schedule = std::getenv("IGOR_INTERLEAVE_SCHEDULE"); schedule != nullptr) {
    show(settings, scenario, schedule_of(schedule));
    return;
  }
  Search search(settings, scenario);
  const auto violation = search.all();
  if (!violation) {
    EXPECT_GE(search.schedules(), settings.at_least) << "the scenario explores next to nothing";
    return;
  }
  std::fprintf(stderr, "\nThe schedule, step by step:\n");
  show(settings, scenario, violation->schedule);
  ADD_FAILURE() << violation->what << "\n\nAgain: IGOR_INTERLEAVE_SCHEDULE=\"" << text_of(violation->schedule) << '"';
}

Thread::Thread(std::string name, std::function<void()> body)
    : id_(Scheduler::current()->spawn(std::move(name), std::move(body))) {}

void Thread::join() {
  if (id_ != kNobody) Scheduler::current()->join(id_);
  id_ = kNobody;
}

void join_others() {
  Scheduler::current()->join_others();
}

void require(bool true_that, const std::string& what) {
  if (!true_that) Scheduler::current()->fail(what);
}

void say(const std::string& what) {
  Scheduler::current()->say(what);
}

void poll(int fd) {
  Scheduler::current()->poll(fd);
}

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

}  // namespace igor::interleave
