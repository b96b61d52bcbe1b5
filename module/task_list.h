// Tasks on their way from one place to another, in order, while they are in no pool's lists: out of one pool's hands
// and into another's, or to their end. Intrusive, because a pool must be able to drain when memory has run out.
//
// Owns a reference to each. One thread's at a time; the tasks' links are free for it, since they are in no other list.
#pragma once

#include <utility>

#include "module/ref.h"
#include "module/task.h"

namespace igor {

class TaskList {
 public:
  TaskList() = default;
  TaskList(TaskList&& other) noexcept
      : head_(std::exchange(other.head_, nullptr)), tail_(std::exchange(other.tail_, nullptr)) {}
  TaskList& operator=(TaskList&& other) noexcept {
    std::swap(head_, other.head_);
    std::swap(tail_, other.tail_);
    return *this;
  }
  ~TaskList() {
    while (!empty()) pop_front();
  }

  bool empty() const noexcept { return head_ == nullptr; }
  void push_back(Ref<Task> task) noexcept {
    Task* const entry = task.leak();
    entry->next_ = nullptr;
    (tail_ != nullptr ? tail_->next_ : head_) = entry;
    tail_ = entry;
  }
  Ref<Task> pop_front() noexcept {
    if (head_ == nullptr) return nullptr;
    Task* const entry = head_;
    head_ = std::exchange(entry->next_, nullptr);
    if (head_ == nullptr) tail_ = nullptr;
    return Ref<Task>::adopt(entry);
  }
  template <typename Visit>
  void for_each(Visit&& visit) const noexcept {
    for (Task* one = head_; one != nullptr; one = one->next_) visit(*one);
  }

 private:
  Task* head_ = nullptr;
  Task* tail_ = nullptr;
};

}  // namespace igor
