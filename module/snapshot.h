// What a pool's workers have published last: one payload that any number of readers look at while it is
// replaced.
//
// Readers take no lock and never wait for a writer. The store is one word: the address of the current
// snapshot in its low 48 bits, and above it how many readers are on their way to taking a reference to
// that snapshot (16 bits). A reader announces itself and learns the address in one atomic addition, takes a
// real reference, and takes its announcement back. A writer that swaps the word learns how many had
// announced themselves to the old snapshot and have not taken that back: it turns each of them into a
// reference, which the reader, finding the word changed, gives up instead. Until the writer has done that,
// the old snapshot's count carries kBias, so it can't fall to zero in between. Addresses are not reused
// under a reader's eyes, because it holds a reference when it compares.
//
// The version grows by one with each new snapshot: a reader that has decoded version n needs nothing more
// than one load to know that it still has the latest.
//
// A pool hands its store on to its successor, so what was published stays readable when another pool takes
// its place; the pools see to it that only one of them publishes.
//
// Threads: any. publish() takes a lock of its own, a leaf, because two pools may hold the store. So does view() while
// one is made, for as long as that takes (milliseconds for megabytes); no interrupt ends that wait.
#pragma once

#include <cstdint>
#include <memory>

#include "module/clock.h"
#include "module/payload.h"
#include "module/ref.h"
#include "module/sync.h"
#include "module/wakeup.h"

namespace igor {

// What the readers' side makes of a snapshot's payload, once for all of them, and never changes.
class SnapshotView {
 public:
  virtual ~SnapshotView() = default;
};

class Snapshot {
 public:
  explicit Snapshot(Payload payload) noexcept : payload_(std::move(payload)) {}
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() { delete view_.load(std::memory_order_relaxed); }

  const Payload& payload() const noexcept { return payload_; }
  uint64_t version() const noexcept { return version_; }
  TimePoint published() const noexcept { return published_; }

  // Lives as long as the snapshot. The first who asks makes it, by make(payload); others who ask meanwhile wait. Null
  // when it could not be made now. `make` throws nothing.
  template <typename Make>
  const SnapshotView* view(Make&& make) const noexcept {
    if (const SnapshotView* const made = view_.load(std::memory_order_acquire)) return made;
    std::lock_guard one_at_a_time(making_view_);
    if (const SnapshotView* const made = view_.load(std::memory_order_relaxed)) return made;
    std::unique_ptr<const SnapshotView> made = make(payload_);
    view_.store(made.get(), std::memory_order_release);
    return made.release();
  }

  void retain() const noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  void release() const noexcept { give_up(1); }

 private:
  friend class SnapshotStore;
  static constexpr int64_t kBias = 1 << 20;  // more than there can be readers on their way

  void give_up(int64_t references) const noexcept {
    if (count_.fetch_sub(references, std::memory_order_acq_rel) == references) delete this;
  }

  const Payload payload_;
  uint64_t version_ = 0;  // this and the next: written before it is published
  TimePoint published_{};
  mutable Atomic<int64_t> count_{kBias};  // the store's, while it is the current one
  mutable Atomic<const SnapshotView*> view_{nullptr};
  mutable Mutex making_view_;
};

class SnapshotStore {
 public:
  SnapshotStore() = default;
  SnapshotStore(const SnapshotStore&) = delete;
  SnapshotStore& operator=(const SnapshotStore&) = delete;
  ~SnapshotStore();

  // Null when nothing was published yet.
  Ref<const Snapshot> latest() const noexcept;
  // Of the latest snapshot; 0 when there is none.
  uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }

  // What publish() takes: to be made where it does no harm that there may be no memory for it.
  static std::unique_ptr<Snapshot> prepare(Payload payload) { return std::make_unique<Snapshot>(std::move(payload)); }
  // Replaces the latest snapshot. False, and nothing changes, when the payload is the same to the byte.
  bool publish(std::unique_ptr<Snapshot> next) noexcept;
  bool publish(Payload payload) { return publish(prepare(std::move(payload))); }

  // For those who wait for the first snapshot: notified with each, and by the pool when there will be none.
  Wakeup& changed() noexcept { return changed_; }

 private:
  static constexpr uint64_t kReader = uint64_t{1} << 48;
  static constexpr uint64_t kAddress = kReader - 1;
  static const Snapshot* snapshot_of(uint64_t word) noexcept {
    return reinterpret_cast<const Snapshot*>(static_cast<uintptr_t>(word & kAddress));
  }
  void replace(const Snapshot* next) noexcept;

  Wakeup changed_;
  Mutex publishing_;
  mutable Atomic<uint64_t> word_{0};
  Atomic<uint64_t> version_{0};
};

}  // namespace igor
