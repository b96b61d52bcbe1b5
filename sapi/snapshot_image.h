// A snapshot's value as an immutable array, made once for all threads that read it.
//
// To decode a snapshot in each request costs as much as the snapshot is large, however little of it the request looks
// at. An image is the same array with all that is in it, in one block of memory that nobody ever writes to again. Its
// strings bear the engine's mark of interned ones and its arrays that of immutable ones, as literals of a script do: so
// the engine neither counts references to them nor changes them in place, and what a script does to such an array it
// does to a copy.
//
// It lives as long as its snapshot. A script's variables may point into it until the engine has destroyed all of them,
// so whoever hands the value out keeps the snapshot until the run is over (PhpThread::keep()). Scripts that run for
// long, those of workers, decode instead: they would keep every snapshot that they have ever read.
//
// Only values without enum cases have an image: those are objects, and belong to a thread.
//
// With a debug build of PHP the arrays lie in read-only memory: whatever writes to one crashes at once.
//
// Threads: made on any PHP thread, read by all, destroyed on any thread.
#pragma once

#include <cstddef>
#include <memory>

#include "module/payload.h"
#include "module/snapshot.h"
#include "sapi/zend.h"

namespace igor::sapi {

class SnapshotImage final : public SnapshotView {
 public:
  // The image of the snapshot, made now if it is the first time. Null: it can have none, or there is no memory for it,
  // and the caller is to decode the payload.
  static const SnapshotImage* of(const Snapshot& snapshot) noexcept;

  ~SnapshotImage() override;

  // To be copied without counting; valid while the snapshot is.
  const zval& value() const noexcept { return value_; }

 private:
  SnapshotImage() = default;
  static std::unique_ptr<SnapshotImage> make(const Payload& payload) noexcept;
  bool allocate(size_t size) noexcept;
  void release() noexcept;

  zval value_ = {};  // undefined: no image is possible
  void* block_ = nullptr;
  size_t size_ = 0;
};

}  // namespace igor::sapi
