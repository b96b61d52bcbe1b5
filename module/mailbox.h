// The tasks of a pool that no worker has been offered yet, oldest first, as an intrusive list.
//
// The first `capacity` of them have a place in the queue: their senders have been told "accepted". Those
// behind wait, their senders blocked, and are accepted in order as places become free. A task that was
// accepted and comes back (its worker died before it took it) returns to its place among the first, by age, and stays
// accepted, even beyond the capacity.
//
// Holds a reference to each task. Not thread-safe: the pool's lock guards it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "module/ref.h"
#include "module/task.h"

namespace igor {

class Mailbox {
 public:
  explicit Mailbox(uint32_t capacity) : capacity_(capacity) {}
  ~Mailbox();

  bool empty() const noexcept { return head_ == nullptr; }
  size_t size() const noexcept { return size_; }
  size_t accepted() const noexcept { return accepted_; }
  bool has_free_place() const noexcept { return accepted_ < capacity_; }

  void push_back(Ref<Task> task);
  // Before a task that is here; null: at the end.
  void insert_before(Task* position, Ref<Task> task);
  // Of one that comes back.
  void put_back(Ref<Task> accepted_task);
  Ref<Task> pop_front();
  // The task's reference, or null when it is not here.
  Ref<Task> erase(Task& task);

  // The oldest task that has no place but could have one now; null when there is none. It is marked as
  // accepted; the caller tells its sender. (Borrowed.)
  Task* accept_next();

  // The oldest, or null. (Borrowed.) The rest of the list follows by next().
  Task* first() const noexcept { return head_; }
  static Task* next(const Task& task) noexcept { return task.next_; }

  // The oldest whose sender still waits, or null. (Borrowed.)
  Task* first_waiting() noexcept;

 private:
  void unlink(Task& task) noexcept;

  const uint32_t capacity_;
  Task* head_ = nullptr;
  Task* tail_ = nullptr;
  size_t size_ = 0;
  size_t accepted_ = 0;
};

}  // namespace igor
