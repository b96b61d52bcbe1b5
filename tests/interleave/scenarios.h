// What is explored: small worlds of the core's own objects, in which a few threads do what may happen at the same
// time. Each says itself what must be true. They run on the core as it is (scenarios_test.cc), and on one that is
// broken on purpose (faults_test.cc).
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/interleave/explore.h"

namespace igor::interleave {

struct Scenario {
  std::string name;
  Settings settings;
  void (*body)();

  // What is claimed of it, for the name of the test.
  std::string extent() const {
    if (settings.random != 0) return "AtRandom";
    return settings.preemptions ? "With" + std::to_string(*settings.preemptions) + "Preemptions" : "InAllOrders";
  }
  friend void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }
};

std::vector<Scenario> wakeup_scenarios();
std::vector<Scenario> task_scenarios();
std::vector<Scenario> sharing_scenarios();
std::vector<Scenario> pool_scenarios();
std::vector<Scenario> life_scenarios();
std::vector<Scenario> scenarios();  // all
Scenario scenario(const std::string& name);

inline Settings all_orders(uint64_t at_least) {
  Settings settings;
  settings.at_least = at_least;
  return settings;
}
inline Settings preemptions(int most, uint64_t at_least) {
  Settings settings;
  settings.preemptions = most;
  settings.at_least = at_least;
  return settings;
}
inline Settings at_random(uint32_t schedules) {
  Settings settings;
  settings.random = schedules;
  settings.at_least = schedules;
  return settings;
}

}  // namespace igor::interleave
