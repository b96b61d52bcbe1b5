#include "module/mailbox.h"

namespace igor {

Mailbox::~Mailbox() {
  while (!empty()) pop_front();
}

void Mailbox::push_back(Ref<Task> task) {
  Task* const entry = task.leak();
  entry->in_mailbox_ = true;
  entry->next_ = nullptr;
  entry->previous_ = tail_;
  (tail_ != nullptr ? tail_->next_ : head_) = entry;
  tail_ = entry;
  ++size_;
  if (entry->admission_ == Task::Admission::Accepted) ++accepted_;
}

void Mailbox::insert_before(Task* position, Ref<Task> task) {
  if (position == nullptr) {
    push_back(std::move(task));
    return;
  }
  Task* const entry = task.leak();
  entry->in_mailbox_ = true;
  entry->next_ = position;
  entry->previous_ = position->previous_;
  (position->previous_ != nullptr ? position->previous_->next_ : head_) = entry;
  position->previous_ = entry;
  ++size_;
  if (entry->admission_ == Task::Admission::Accepted) ++accepted_;
}

void Mailbox::put_back(Ref<Task> accepted_task) {
  // Older than it are others that came back at most. It stays before those that wait in any case: of two whose sends
  // overlapped the later may have the smaller number.
  const auto older = [&](const Task& task) {
    return task.admission_ == Task::Admission::Accepted && task.id() < accepted_task->id();
  };
  Task* younger = head_;
  while (younger != nullptr && older(*younger)) younger = younger->next_;
  insert_before(younger, std::move(accepted_task));
}

void Mailbox::unlink(Task& task) noexcept {
  (task.previous_ != nullptr ? task.previous_->next_ : head_) = task.next_;
  (task.next_ != nullptr ? task.next_->previous_ : tail_) = task.previous_;
  task.next_ = task.previous_ = nullptr;
  task.in_mailbox_ = false;
  --size_;
  if (task.admission_ == Task::Admission::Accepted) --accepted_;
}

Ref<Task> Mailbox::pop_front() {
  if (head_ == nullptr) return nullptr;
  return erase(*head_);
}

Ref<Task> Mailbox::erase(Task& task) {
  if (!task.in_mailbox_) return nullptr;
  unlink(task);
  return Ref<Task>::adopt(&task);
}

Task* Mailbox::first_waiting() noexcept {
  // Accepted tasks form the front of the list (see put_back), so this walk is short only when few
  // have places; it runs when a place becomes free, not on every send.
  if (accepted_ == size_) return nullptr;
  Task* task = head_;
  while (task != nullptr && task->admission_ == Task::Admission::Accepted) task = task->next_;
  return task;
}

Task* Mailbox::accept_next() {
  if (!has_free_place()) return nullptr;
  Task* const task = first_waiting();
  if (task == nullptr) return nullptr;
  task->admission_ = Task::Admission::Accepted;
  ++accepted_;
  return task;
}

}  // namespace igor
