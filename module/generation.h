// A generation: everything that one configuration load brought, its scopes and their pools. A new one is
// started before the old is closed, so reloads leave no moment without workers.
//
// Ownership: the host's handle. Threads: build, start and close are the host's calls, one at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "module/scope.h"

namespace igor {

class Generation {
 public:
  explicit Generation(WorkerHost& host) : host_(host), global_(std::make_shared<Scope>("global", nullptr, host)) {}
  ~Generation() { close(); }

  const std::shared_ptr<Scope>& global() const noexcept { return global_; }
  std::shared_ptr<Scope> add_scope(std::string label);

  // Starts every pool that has `num` and waits for all of them, each within its boot_timeout. False with a
  // sentence.
  bool start(std::string& error);

  // Drains all pools at once and waits for them (the longest stop_grace and a bounded rest); the number
  // of threads left behind. Idempotent.
  size_t close();

 private:
  std::vector<std::shared_ptr<Pool>> all_pools();

  WorkerHost& host_;
  const std::shared_ptr<Scope> global_;
  std::vector<std::shared_ptr<Scope>> scopes_;
  bool closed_ = false;
};

}  // namespace igor
