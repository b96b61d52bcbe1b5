#include "module/snapshot.h"

#include <cassert>
#include <cstring>

namespace igor {

SnapshotStore::~SnapshotStore() {
  replace(nullptr);
}

Ref<const Snapshot> SnapshotStore::latest() const noexcept {
  if (version() == 0) return nullptr;
  uint64_t word = word_.fetch_add(kReader, std::memory_order_acquire);
  const Snapshot* const snapshot = snapshot_of(word);
  snapshot->retain();
  word = word_.load(std::memory_order_relaxed);
  while (snapshot_of(word) == snapshot) {
    if (word_.compare_exchange_weak(word, word - kReader, std::memory_order_release, std::memory_order_relaxed)) {
      return Ref<const Snapshot>::adopt(snapshot);
    }
  }
  // Replaced meanwhile: the writer has made, or will make, a reference of the announcement.
  snapshot->release();
  return Ref<const Snapshot>::adopt(snapshot);
}

void SnapshotStore::replace(const Snapshot* next) noexcept {
  const auto address = reinterpret_cast<uintptr_t>(next);
  assert((address & ~kAddress) == 0);
  const uint64_t old = word_.exchange(address, std::memory_order_acq_rel);
  const Snapshot* const snapshot = snapshot_of(old);
  if (snapshot != nullptr) snapshot->give_up(Snapshot::kBias - static_cast<int64_t>(old >> 48));
}

bool SnapshotStore::publish(std::unique_ptr<Snapshot> next) noexcept {
  const Payload& payload = next->payload();
  std::lock_guard lock(publishing_);
  const uint64_t last = version_.load(std::memory_order_relaxed);
  if (last != 0) {
    // The only writer, by the lock: the current snapshot stays while it looks.
    const Payload& current = snapshot_of(word_.load(std::memory_order_relaxed))->payload();
    const bool same_size = current.size() == payload.size();
    // memcmp() may not be given null, not even for no bytes.
    if (same_size && (current.size() == 0 || std::memcmp(current.data(), payload.data(), current.size()) == 0))
      return false;
  }
  next->version_ = last + 1;
  next->published_ = now();
  replace(next.release());
  version_.store(last + 1, std::memory_order_release);
  changed_.notify();
  return true;
}

}  // namespace igor
