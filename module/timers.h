// Deadlines that nobody waits for: one thread that runs small functions at given times (a task's
// deadline, offering an unclaimed task to another worker).
//
// A function runs on the timer thread without any lock held and must be short. cancel() does not wait
// for a function that is already running: what it touches must be kept alive by what it captures. One that runs out
// of memory (std::bad_alloc) is run again a little later.
// The thread starts with start(), or the first schedule(), and ends in the destructor; pending functions are then
// dropped.
//
// Scheduling allocates nothing, because it must work when memory has run out: a function keeps its captures inside of
// itself, in a place of a table. The table grows while kAhead places are still free; should it be refused that, those
// are used up first.
//
// Locks: one mutex, a leaf.
#pragma once

#include <cstdint>
#include <vector>

#include "module/clock.h"
#include "module/inline_function.h"
#include "module/os_thread.h"
#include "module/sync.h"

namespace igor {

class Timers {
 public:
  using Id = uint64_t;  // 0 is none
  using Function = InlineFunction<64>;
  static constexpr size_t kAhead = 64;

  Timers() = default;
  ~Timers();

  // The process's one. Never destroyed.
  static Timers& global();

  // So that schedule() finds the thread running. 0, or errno when there is none to be had.
  int start() noexcept;
  // 0 when the thread cannot be started, or there is no place left and no memory for more: the caller goes without.
  Id schedule(TimePoint at, Function function) noexcept;
  void cancel(Id id) noexcept;

 private:
  // One function, or a free place. The number of uses is a part of its id, so that an old id names nobody.
  struct Place {
    TimePoint at{};
    uint64_t order = 0;  // among those of the same time
    uint32_t uses = 1;
    uint32_t in_heap = 0;
    Function function;
  };

  int start_locked() noexcept;
  void grow() noexcept;
  bool earlier(uint32_t one, uint32_t other) const noexcept;
  void put(size_t at, uint32_t place) noexcept;
  void rise(size_t at) noexcept;
  void sink(size_t at) noexcept;
  void insert(uint32_t place) noexcept;
  void remove(uint32_t place) noexcept;
  void give_back(uint32_t place) noexcept;
  void loop();

  static constexpr uint32_t kNotInHeap = UINT32_MAX;

  Mutex mutex_;
  Condition changed_;
  std::vector<Place> places_;
  // Both have room for every place: they never grow by themselves.
  std::vector<uint32_t> heap_;  // the earliest first
  std::vector<uint32_t> free_;
  uint64_t last_order_ = 0;
  bool stopping_ = false;
  OsThread thread_;
};

}  // namespace igor
