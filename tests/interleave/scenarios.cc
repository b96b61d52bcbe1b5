#include "tests/interleave/scenarios.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace igor::interleave {

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all;
  for (auto part : {wakeup_scenarios, task_scenarios, sharing_scenarios, pool_scenarios, life_scenarios}) {
    for (Scenario& one : part()) all.push_back(std::move(one));
  }
  return all;
}

Scenario scenario(const std::string& name) {
  const auto all = scenarios();
  const auto place = std::find_if(all.begin(), all.end(), [&](const Scenario& one) { return one.name == name; });
  if (place == all.end()) {
    std::fprintf(stderr, "interleave: there is no scenario %s\n", name.c_str());
    std::abort();
  }
  return *place;
}

}  // namespace igor::interleave
