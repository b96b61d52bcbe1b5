// A generation: everything that one configuration load brought, its scopes and their pools. A new one is
// started before the old is closed, so reloads leave no moment without workers.
//
// With a predecessor, a scope of the same label (the global one: the global one) succeeds that one's scope, and
// so do their pools (see Scope). What both have stays as it is, threads, tasks and all; a generation that does
// not start and is closed has changed nothing for the old one.
//
// Out of memory: building and start() throw std::bad_alloc; what was made so far is to be closed. close() always works;
// a pool whose place in the next generation cannot be made then is drained as if there were none.
//
// Ownership: the host's handle. Threads: build, start, hand_over and close are the host's calls, one at a time, except
// that close() may come while start() waits, and ends that; restarts of its pools may go on meanwhile, and close()
// waits for them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "module/scope.h"

namespace igor {

class Generation {
 public:
  // The predecessor is looked at here only.
  explicit Generation(WorkerHost& host, const Generation* predecessor = nullptr);
  ~Generation() { close(); }

  const std::shared_ptr<Scope>& global() const noexcept { return global_; }
  std::shared_ptr<Scope> add_scope(std::string label);
  // The global one first.
  std::vector<std::shared_ptr<Scope>> scopes() const;

  // Starts every pool that has `num` and waits for all that are new, each within its boot_timeout. False with
  // a sentence.
  bool start(std::string& error);

  // What the pools of the generation that has started after this one and follows it may do from now on: take the tasks
  // that nobody has taken here and all that are sent, and publish. Workers of this one go on with what they have until
  // close(), and their senders wait for them. Pools that nobody follows stay as they are. For good: should the
  // one that follows close first, what requests of this one still send is refused.
  void hand_over() noexcept;

  // Drains all pools at once that no other generation holds, each in favour of what stands in its place in the
  // generation that follows, and waits for them (the longest stop_grace and a bounded rest); the number of
  // threads left behind. Idempotent.
  size_t close() noexcept;

 private:
  template <typename Visit>
  void for_each_scope(Visit&& visit) const {
    visit(global_);
    for (const auto& scope : scopes_) visit(scope);
  }

  WorkerHost& host_;
  const std::shared_ptr<Scope> global_;
  std::vector<std::shared_ptr<Scope>> scopes_;
  std::vector<std::weak_ptr<Scope>> before_;  // the predecessor's that nobody has succeeded yet
  bool closed_ = false;
};

}  // namespace igor
