// Which HTTP request goes to which worker: the queue in front of a pool of HTTP workers.
//
// The pool (module/pool.h) is the workers' life: threads, restarts, breaker. This is their work. A worker
// that asks (take) gets the oldest request, or becomes idle; a request that comes (submit) goes to the worker
// that became idle last, because its caches and its memory are the warmest, or waits. It waits at most its
// pool's max_wait, see RequestHolder. A worker that is interrupted before it has taken what it was handed hands it
// back, untouched: it goes to another, or is the first to wait, for max_wait again.
//
// The queue lives longer than one pool: the successor of a pool (reload, restart, changed files) gets the
// same queue (PoolOptions::host_data), so a request that waits is taken by whoever is there; but one that came
// for the successor is never served by the old code: pools have an age, and a worker takes no request that is
// for a younger pool than its own. While any waits, a timer looks after them: is there anybody left to serve them (else
// they are refused: the breaker is open, or the pool stops without a successor; a successor counts, and is started,
// before any of its threads has come), and would one worker more help (more than kStall waited for by what its pool may
// serve, nobody idle, CPU left)? Workers are added up to the pool's max_threads, as long as the ThreadBudget of the
// whole engine lasts; one beyond the pool's `num` that was idle for max_idle ends, whether there were too many when it
// became idle or only later.
//
// Threads: submit, withdraw, abort and load from any; join, take, done and leave from the worker's thread.
// Locks: one mutex, before a request's and a leaf otherwise; pools are called without it. Who wakes whom:
// submit wakes one idle worker through its slot's wakeup(), which stop() and a drain notify too; join
// wakes the idle ones when they have become too many. Lifetime: shared between the pools, their worker threads and the
// timer.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "module/clock.h"
#include "module/interrupt.h"
#include "module/pool.h"
#include "module/ref.h"
#include "sapi/http_request.h"
#include "sapi/request_holder.h"
#include "sapi/thread_budget.h"

namespace igor::sapi {

class RequestQueue final : public RequestHolder, public std::enable_shared_from_this<RequestQueue> {
 public:
  struct Options {
    Duration max_wait{};  // of pools that say nothing; 0: no bound
    Duration max_idle = std::chrono::seconds(5);
    ThreadBudget* budget = nullptr;  // null: no thread is ever added
    std::function<bool()> cpu_left;  // whether a thread more can help; empty: CpuLoad
  };
  struct Load {
    uint32_t waiting;
    uint32_t idle;
    Duration oldest;  // how long the first in the queue has waited
  };

  // One worker thread's place at the queue; lives as long as the thread runs its pool's scripts.
  class Seat {
   public:
    Seat(std::shared_ptr<RequestQueue> queue, WorkerSlot& slot) : queue_(std::move(queue)), slot_(slot) {}
    RequestQueue& queue() const noexcept { return *queue_; }
    WorkerSlot& slot() const noexcept { return slot_; }
    // How long the request that take() returned had waited for a worker. On the worker's thread.
    Duration waited() const noexcept { return waited_; }

   private:
    friend class RequestQueue;
    const std::shared_ptr<RequestQueue> queue_;
    WorkerSlot& slot_;
    // Under the queue's lock.
    uint64_t age_ = 0;          // its pool's
    Ref<HttpRequest> current_;  // handed over, or being served
    uint64_t current_for_ = 0;  // the age of the pool that it came for
    Duration waited_{};
    bool idle_ = false;
    bool taken_ = false;    // the current request was, by take()
    bool aborted_ = false;  // the current request was
    bool retiring_ = false;
    bool lost_ = false;
  };

  // Above this wait a worker more is thought of.
  static constexpr Duration kStall = std::chrono::milliseconds(5);

  explicit RequestQueue(Options options);
  ~RequestQueue();

  // The queue of a pool of HTTP workers; null when it has none.
  static std::shared_ptr<RequestQueue> of(const Pool& pool);

  // False: the queue is closed.
  bool submit(HttpRequest& request, const std::shared_ptr<Pool>& pool);
  bool withdraw(HttpRequest& request) noexcept override;
  Load load() const;

  // --- a worker's thread -----------------------------------------------------------------------------

  void join(Seat& seat);
  void leave(Seat& seat);
  // The next request, waiting for it as long as it takes. Null when the script shall end: the worker was told
  // to stop, or interrupted. The seat keeps it until done().
  HttpRequest* take(Seat& seat, Interrupt* interrupt) noexcept;
  void done(Seat& seat) noexcept;

  // Any thread: what the worker's request waits for ends, because the script is being interrupted; called again
  // while it does not end. Not of a request that it has not taken yet, see take(). A request that is still there
  // when the pool gives its worker up (it is blocked in a system call, say) is answered then, and the worker counts
  // no more.
  void abort(WorkerSlot& slot);

 private:
  using Lock = std::unique_lock<std::mutex>;

  // A pool that serves this queue, and its threads here.
  struct Crew {
    const Pool* key;
    std::weak_ptr<Pool> pool;
    uint32_t num;
    uint64_t age;           // the higher, the later it came
    uint32_t here = 0;      // threads that have joined
    uint32_t coming = 0;    // were started by this queue, and have not joined yet
    uint32_t spare = 0;     // taken from the budget
    uint32_t retiring = 0;  // were told to end
  };
  struct Waiting {
    Ref<HttpRequest> request;
    TimePoint since;
    uint64_t age;  // of the pool that it came for
  };

  Duration max_wait(const Pool& pool) const;
  WorkerSlot* hand_over(const Lock&, Ref<HttpRequest>& request, uint64_t age, std::shared_ptr<Pool>& kept);
  void step_out(const Lock&, Seat& seat);
  Crew& crew_of(const Lock&, const std::shared_ptr<Pool>& pool);
  void settle_budget(const Lock&, Crew& crew);
  void forget_gone_crews(const Lock&) noexcept;
  bool may_retire(const Lock&, const Seat& seat);
  void give_to_anyone(const Lock&, std::vector<std::shared_ptr<Pool>>& kept, std::vector<WorkerSlot*>& woken);
  void watch(const Lock&, Duration in);
  void look_after();
  Duration grow_if_it_helps(const std::shared_ptr<Pool>& pool, const Pool::Stats& stats);
  void refuse_all(const std::vector<std::shared_ptr<Pool>>& asked, const std::string& why);
  void give_up(const WorkerSlot& slot, HttpRequest& request);

  const Options options_;
  mutable std::mutex mutex_;
  std::deque<Waiting> waiting_;
  std::vector<Seat*> idle_;  // the last one is the warmest
  std::vector<Seat*> seats_;
  std::vector<Crew> crews_;
  uint64_t ages_ = 0;
  bool watched_ = false;
};

// The host_data of a new pool of HTTP workers, from the running engine's options.
std::shared_ptr<void> make_request_queue(const PoolOptions& options);

}  // namespace igor::sapi
