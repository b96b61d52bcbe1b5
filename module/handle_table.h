// Names objects by 64-bit handles across a border that pointers must not cross.
//
// A handle is an index (low half, never 0) and the generation of that index's slot (high half). Taking an
// object out raises the generation, so a handle that was let go of answers "gone" and never names the
// object that lives in its slot next. After four billion uses a slot is retired rather than repeated.
//
// Pointer is a shared owner (Ref<T> or std::shared_ptr<T>): find() returns an owner, so that what it found
// outlives a concurrent take().
//
// Out of memory, insert() throws and has changed nothing; taking out allocates nothing.
//
// Any thread may call anything. Locks: one mutex, a leaf; objects are destroyed outside of it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "module/sync.h"

namespace igor {

template <typename Pointer>
class HandleTable {
 public:
  HandleTable() = default;
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  // Never 0.
  uint64_t insert(Pointer object) {
    std::lock_guard lock(mutex_);
    if (first_free_ == 0) {
      slots_.emplace_back();
      first_free_ = static_cast<uint32_t>(slots_.size());
    }
    const uint32_t number = first_free_;
    Slot& slot = slots_[number - 1];
    first_free_ = slot.next_free;
    slot.object = std::move(object);
    ++live_;
    return static_cast<uint64_t>(slot.generation) << 32 | number;
  }

  // Empty when the handle is stale or never was one.
  Pointer find(uint64_t handle) const {
    std::lock_guard lock(mutex_);
    const Slot* slot = slot_of(handle);
    return slot ? slot->object : Pointer();
  }

  // As find(), and makes the handle stale.
  Pointer take(uint64_t handle) {
    std::lock_guard lock(mutex_);
    Slot* slot = const_cast<Slot*>(slot_of(handle));
    if (!slot) return Pointer();
    Pointer object = std::exchange(slot->object, Pointer());
    --live_;
    if (++slot->generation != 0) slot->next_free = std::exchange(first_free_, static_cast<uint32_t>(handle));
    return object;
  }

  // Everything that is in the table now, with its handle.
  std::vector<std::pair<uint64_t, Pointer>> all() const {
    std::lock_guard lock(mutex_);
    std::vector<std::pair<uint64_t, Pointer>> found;
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].object)
        found.emplace_back(static_cast<uint64_t>(slots_[i].generation) << 32 | (i + 1), slots_[i].object);
    }
    return found;
  }

  size_t size() const {
    std::lock_guard lock(mutex_);
    return live_;
  }

 private:
  struct Slot {
    uint32_t generation = 1;
    uint32_t next_free = 0;  // the low half of a handle; 0: none
    Pointer object;
  };

  const Slot* slot_of(uint64_t handle) const {
    const uint32_t index = static_cast<uint32_t>(handle);
    if (index == 0 || index > slots_.size()) return nullptr;
    const Slot& slot = slots_[index - 1];
    return slot.object && slot.generation == handle >> 32 ? &slot : nullptr;
  }

  mutable Mutex mutex_;
  std::vector<Slot> slots_;
  uint32_t first_free_ = 0;
  size_t live_ = 0;
};

}  // namespace igor
