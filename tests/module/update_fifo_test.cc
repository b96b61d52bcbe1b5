#include "module/update_fifo.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/module/fake_host.h"

namespace igor {
namespace {

using test::payload_of;
using test::text_of;

TEST(UpdateFifo, KeepsTheOrderAroundTheRing) {
  for (const uint32_t capacity : {1u, 2u, 16u, 17u, 100u}) {
    UpdateFifo fifo(capacity);
    EXPECT_EQ(fifo.capacity(), capacity);
    uint32_t in = 0, out = 0;
    for (uint32_t round = 0; round < 50; ++round) {
      while (!fifo.full()) fifo.push(payload_of(std::to_string(in++)));
      EXPECT_EQ(fifo.size(), capacity);
      // Not always empty: the ring's head must travel.
      for (uint32_t i = 0; i <= round % capacity; ++i) EXPECT_EQ(text_of(fifo.pop()), std::to_string(out++));
    }
    while (!fifo.empty()) EXPECT_EQ(text_of(fifo.pop()), std::to_string(out++));
    EXPECT_EQ(in, out);
  }
}

TEST(UpdateFifo, ZeroStandsForTheUsualSize) {
  EXPECT_EQ(UpdateFifo(0).capacity(), UpdateFifo::kUsual);
}

TEST(UpdateFifo, ClearDropsEverythingAndItGoesOn) {
  UpdateFifo fifo(4);
  for (int round = 0; round < 3; ++round) {
    fifo.push(payload_of("a"));
    fifo.push(payload_of("b"));
    fifo.push(payload_of("c"));
    fifo.clear();
    EXPECT_TRUE(fifo.empty());
  }
  fifo.push(payload_of("d"));
  EXPECT_EQ(text_of(fifo.pop()), "d");
}

TEST(UpdateFifo, HoldsEmptyPayloads) {
  UpdateFifo fifo(2);
  fifo.push(Payload());
  EXPECT_FALSE(fifo.empty());
  EXPECT_TRUE(fifo.pop().empty());
  EXPECT_TRUE(fifo.empty());
}

}  // namespace
}  // namespace igor
