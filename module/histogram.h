// How long things took: so many in each of a fixed set of ranges, and the sum of all.
//
// The bounds are those that the report and the metrics show, so nothing is converted on its way out.
// Relaxed atomics: record() from any thread costs one short search and two additions; readers may see one of
// the two additions before the other.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "module/clock.h"
#include "module/sync.h"

namespace igor {

class Histogram {
 public:
  // Upper bounds in microseconds, each included in its range; one more range is above all of them.
  static constexpr std::array<uint64_t, 19> kBounds = {50,      100,     250,      500,      1000,    2500,   5000,
                                                       10000,   25000,   50000,    100000,   250000,  500000, 1000000,
                                                       2500000, 5000000, 10000000, 30000000, 60000000};
  static constexpr size_t kRanges = kBounds.size() + 1;

  struct Values {
    std::array<uint64_t, kRanges> counts{};
    uint64_t sum_us = 0;

    uint64_t count() const noexcept {
      uint64_t sum = 0;
      for (const uint64_t number : counts) sum += number;
      return sum;
    }
  };

  void record(Duration took) noexcept {
    const int64_t nanoseconds = std::max<int64_t>(took.count(), 0);
    // Rounded up: what took longer than a bound is above it.
    const auto microseconds = static_cast<uint64_t>(nanoseconds / 1000 + (nanoseconds % 1000 != 0));
    const auto range = std::lower_bound(kBounds.begin(), kBounds.end(), microseconds) - kBounds.begin();
    counts_[static_cast<size_t>(range)].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(static_cast<uint64_t>(nanoseconds), std::memory_order_relaxed);
  }

  Values values() const noexcept {
    Values values;
    for (size_t i = 0; i < kRanges; ++i) values.counts[i] = counts_[i].load(std::memory_order_relaxed);
    values.sum_us = sum_ns_.load(std::memory_order_relaxed) / 1000;
    return values;
  }

 private:
  std::array<Atomic<uint64_t>, kRanges> counts_{};
  Atomic<uint64_t> sum_ns_{0};
};

}  // namespace igor
