// Every scenario, on the core as it is.
#include <gtest/gtest.h>

#include "tests/interleave/scenarios.h"

namespace igor::interleave {
namespace {

class Core : public testing::TestWithParam<Scenario> {};

TEST_P(Core, Holds) {
  explore(GetParam().settings, GetParam().body);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Core, testing::ValuesIn(scenarios()),
                         [](const auto& info) { return info.param.name + info.param.extent(); });

}  // namespace
}  // namespace igor::interleave
