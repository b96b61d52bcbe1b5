// Floors: what handing something over to another thread, and copying a payload, cost on this machine at the least.
//
// Ping-pong: two threads, one asks and the other answers, as a sender and a worker do. Each way of waiting once with
// the threads where the kernel puts them, once both on one CPU, and once on two. Each round trip is timed alone: p50,
// p90, p99 and p999 are in nanoseconds.
#include <benchmark/benchmark.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/floors/times.h"

namespace {

using igor::bench::Clock;
using igor::bench::Times;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

// One direction of a hand-over: give() by one thread, take() by the other.
class Futex {
 public:
  void give() {
    word_.store(1, std::memory_order_release);
    syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  void take() {
    while (word_.exchange(0, std::memory_order_acquire) == 0) {
      syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    }
  }

 private:
  std::atomic<uint32_t> word_{0};
};

// Spins for a while before it sleeps; who gives makes no system call when nobody sleeps.
class SpinThenFutex {
 public:
  void give() {
    if (word_.exchange(kGiven, std::memory_order_acq_rel) == kAsleep) {
      syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  }
  void take() {
    const auto end = Clock::now() + std::chrono::microseconds(20);
    do {
      for (int i = 0; i < 8; ++i) {
        if (word_.load(std::memory_order_acquire) == kGiven) {
          word_.store(kEmpty, std::memory_order_relaxed);
          return;
        }
        relax();
      }
    } while (Clock::now() < end);
    for (;;) {
      uint32_t empty = kEmpty;
      word_.compare_exchange_strong(empty, kAsleep, std::memory_order_acq_rel);
      syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, kAsleep, nullptr, nullptr, 0);
      if (word_.load(std::memory_order_acquire) == kGiven) {
        word_.store(kEmpty, std::memory_order_relaxed);
        return;
      }
    }
  }

 private:
  static constexpr uint32_t kEmpty = 0, kGiven = 1, kAsleep = 2;
  std::atomic<uint32_t> word_{kEmpty};
};

class EventFd {
 public:
  ~EventFd() { close(fd_); }
  void give() {
    const uint64_t one = 1;
    if (write(fd_, &one, sizeof one) != sizeof one) std::abort();
  }
  void take() {
    uint64_t value;
    if (read(fd_, &value, sizeof value) != sizeof value) std::abort();
  }

 protected:
  const int fd_ = eventfd(0, EFD_CLOEXEC);
};

// As stream_select() does.
class PolledEventFd : public EventFd {
 public:
  void take() {
    pollfd entry{fd_, POLLIN, 0};
    while (poll(&entry, 1, -1) != 1) {
    }
    EventFd::take();
  }
};

enum class Place { Anywhere, OneCpu, TwoCpus };

// The calling thread to the first or second CPU of those that the process may use.
void pin(const cpu_set_t& allowed, int which) {
  cpu_set_t one;
  CPU_ZERO(&one);
  for (size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && which-- <= 0) {
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      return;
    }
  }
}

template <typename Way>
void ping_pong(benchmark::State& state, Place place) {
  Way there, back;
  std::atomic<bool> over{false};
  cpu_set_t all;
  sched_getaffinity(0, sizeof all, &all);
  if (place != Place::Anywhere) pin(all, 0);
  std::thread partner([&] {
    if (place == Place::TwoCpus) pin(all, 1);
    for (;;) {
      there.take();
      if (over.load(std::memory_order_relaxed)) return;
      back.give();
    }
  });
  Times times;
  for (auto _ : state) {
    const auto start = Clock::now();
    there.give();
    back.take();
    times.add(start);
  }
  times.report(state);
  over.store(true, std::memory_order_relaxed);
  there.give();
  partner.join();
  sched_setaffinity(0, sizeof all, &all);
}

// Pages of both buffers have been touched before: this is the copying, not the kernel's part of new memory.
void copy(benchmark::State& state) {
  const size_t size = static_cast<size_t>(state.range(0));
  std::vector<char> from(size, 'x'), to(size, 'y');
  Times times;
  for (auto _ : state) {
    const auto start = Clock::now();
    std::memcpy(to.data(), from.data(), size);
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
    times.add(start);
  }
  times.report(state);
}

template <typename Way>
void register_way(const std::string& name) {
  benchmark::RegisterBenchmark(name.c_str(), ping_pong<Way>, Place::Anywhere)->UseRealTime();
  benchmark::RegisterBenchmark((name + "-one-cpu").c_str(), ping_pong<Way>, Place::OneCpu)->UseRealTime();
  benchmark::RegisterBenchmark((name + "-two-cpus").c_str(), ping_pong<Way>, Place::TwoCpus)->UseRealTime();
}

BENCHMARK(copy)
    ->Name("memcpy")
    ->Arg(64)
    ->Arg(1 << 10)
    ->Arg(16 << 10)
    ->Arg(100'000)
    ->Arg(1 << 20)
    ->Arg(10'000'000)
    ->Arg(16 << 20);

}  // namespace

int main(int count, char** arguments) {
  register_way<SpinThenFutex>("spin");
  register_way<Futex>("futex");
  register_way<EventFd>("eventfd");
  register_way<PolledEventFd>("eventfd-poll");
  benchmark::Initialize(&count, arguments);
  if (benchmark::ReportUnrecognizedArguments(count, arguments)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
