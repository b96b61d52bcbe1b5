// The time of each operation of a Google Benchmark, and what the process spent on them: quantiles where the library
// itself has means only. One thread uses it.
#pragma once

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

namespace igor::bench {

using Clock = std::chrono::steady_clock;

class Times {
 public:
  Times() {
    times_.reserve(1 << 20);
    getrusage(RUSAGE_SELF, &before_);
  }

  void add(Clock::time_point start) {
    times_.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
  }

  // As counters: quantiles in nanoseconds; CPU in microseconds and context switches, of one operation.
  void report(benchmark::State& state) {
    rusage after;
    getrusage(RUSAGE_SELF, &after);
    std::sort(times_.begin(), times_.end());
    state.counters["p50"] = at(0.5);
    state.counters["p90"] = at(0.9);
    state.counters["p99"] = at(0.99);
    state.counters["p999"] = at(0.999);
    const double count = static_cast<double>(times_.size());
    state.counters["cpu"] = (microseconds(after) - microseconds(before_)) / count;
    state.counters["voluntary"] = static_cast<double>(after.ru_nvcsw - before_.ru_nvcsw) / count;
    state.counters["involuntary"] = static_cast<double>(after.ru_nivcsw - before_.ru_nivcsw) / count;
  }

 private:
  double at(double share) const {
    return static_cast<double>(times_[static_cast<size_t>(share * static_cast<double>(times_.size() - 1))]);
  }
  static double microseconds(const rusage& usage) {
    const auto of = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
  }

  std::vector<int64_t> times_;
  rusage before_;
};

}  // namespace igor::bench
