// A WorkerHost whose scripts do what they are told, one step at a time: a script runs on its slot's thread, as any
// does, but between two steps it waits, and the caller waits while it takes one. So a test of one thread drives pools
// with real worker threads, and nothing happens at the same time as anything else, but for a script's start.
//
// Threads: the calls under "the driver's" belong to one thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tests/module/fake_host.h"

namespace igor::fuzz {

// One run of a script.
struct Actor {
  Actor(test::Script& own, uint64_t nth) : script(own), run(nth) {}
  test::Script& script;
  const uint64_t run;  // counted over all slots, from 1
  std::vector<Ref<Task>> held;
};

class ScriptedHost : public WorkerHost {
 public:
  // What a script does; the outcome, when it is over with that.
  using Step = std::function<std::optional<RunOutcome>(Actor&)>;

  bool enter(WorkerSlot&, std::string&) override { return true; }
  void leave(WorkerSlot&) override {}

  RunOutcome run(WorkerSlot& slot) override {
    Interrupt interrupt;
    test::Script script(slot, interrupt);
    Actor actor(script, ++runs_);
    slot.poll_signal();  // ready
    RunOutcome outcome = obey(actor);
    for (const Ref<Task>& task : actor.held) left(*task);
    slot.script_ended(outcome.failure);
    std::lock_guard lock(mutex_);
    if (told_ == &actor) told_ = nullptr;
    changed_.notify_all();
    return outcome;
  }
  void interrupt(WorkerSlot&) override {}

  // Called for each task that a script holds when it ends, on its thread.
  std::function<void(const Task&)> left = [](const Task&) {};

  // --- the driver's --------------------------------------------------------------------------------

  size_t present() {
    std::lock_guard lock(mutex_);
    return actors_.size();
  }
  // One of those that wait for their next step, and waits until that is done, the script's end included when it
  // is one. False when nobody is there.
  bool tell(size_t which, Step step) {
    std::unique_lock lock(mutex_);
    if (actors_.empty()) return false;
    told_ = actors_[which % actors_.size()];
    step_ = std::move(step);
    changed_.notify_all();
    changed_.wait(lock, [&] { return told_ == nullptr; });
    return true;
  }
  // From now on every script ends at once.
  void end_all() {
    std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }

 private:
  RunOutcome obey(Actor& actor) {
    std::unique_lock lock(mutex_);
    const auto place = std::find_if(actors_.begin(), actors_.end(), [&](const Actor* other) {
      return other->script.slot.index() > actor.script.slot.index();
    });
    actors_.insert(place, &actor);
    std::optional<RunOutcome> outcome;
    while (!outcome) {
      changed_.wait(lock, [&] { return told_ == &actor || (ending_ && told_ == nullptr); });
      if (told_ != &actor) {
        outcome = test::clean_end();
        break;
      }
      // The driver waits meanwhile: the step's alone.
      lock.unlock();
      outcome = step_(actor);
      lock.lock();
      if (!outcome) told_ = nullptr;
      changed_.notify_all();
    }
    std::erase(actors_, &actor);
    return *outcome;
  }

  std::atomic<uint64_t> runs_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Actor*> actors_;
  Actor* told_ = nullptr;
  Step step_;
  bool ending_ = false;
};

}  // namespace igor::fuzz
