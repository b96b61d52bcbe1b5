#include "sapi/http_pool.h"

#include <algorithm>
#include <cstring>

#include "module/activity.h"
#include "sapi/http_script.h"
#include "sapi/php_thread.h"

namespace igor::sapi {

struct HttpPool::Thread {
  uint32_t index = 0;
  OsThread os;
  std::condition_variable wakes;
  // Under Shared::mutex.
  Ref<HttpRequest> current;  // handed over, or being served
  PhpThread* php = nullptr;  // while attached
  bool ended = false;
};

struct HttpPool::Shared {
  std::mutex mutex;
  std::condition_variable thread_ended;
  std::deque<Ref<HttpRequest>> queue;
  std::vector<Thread*> idle;  // the last one is the warmest; meaningless while ending
  std::vector<std::unique_ptr<Thread>> threads;
  std::chrono::milliseconds max_wait{0};
  uint32_t running = 0;  // threads that have not ended
  uint32_t busy = 0;
  bool open = false;
  bool ending = false;
};

HttpPool::HttpPool() : shared_(std::make_shared<Shared>()) {}
HttpPool::~HttpPool() = default;

bool HttpPool::start(const Options& options, std::string& error) {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->max_wait = std::chrono::milliseconds(options.max_wait_ms);
    shared_->ending = false;
    shared_->idle.clear();
  }
  for (uint32_t i = 0; i < options.threads; ++i) {
    auto thread = std::make_unique<Thread>();
    thread->index = i;
    Thread* raw = thread.get();
    {
      std::lock_guard lock(shared_->mutex);
      shared_->threads.push_back(std::move(thread));
      ++shared_->running;
    }
    const int failed = raw->os.start(
        "php-http-" + std::to_string(i), [shared = shared_, raw] { thread_main(shared, raw); }, options.stack_bytes);
    if (failed != 0) {
      {
        std::lock_guard lock(shared_->mutex);
        --shared_->running;
        raw->ended = true;
      }
      error = "cannot start HTTP thread " + std::to_string(i + 1) + " of " + std::to_string(options.threads) + ": " +
              std::strerror(failed) + "; configure fewer threads, or raise the system's limit of threads";
      stop(std::chrono::milliseconds(0));
      return false;
    }
  }
  std::lock_guard lock(shared_->mutex);
  shared_->open = true;
  return true;
}

bool HttpPool::submit(HttpRequest& request) {
  Shared& shared = *shared_;
  Thread* thread = nullptr;
  {
    std::lock_guard lock(shared.mutex);
    if (!shared.open) return false;
    if (shared.idle.empty()) {
      // Not an owner: the engine keeps the pool for as long as there are requests.
      request.queued_in(std::shared_ptr<RequestHolder>(std::shared_ptr<void>(), this),
                        shared.max_wait.count() > 0 ? HttpRequest::Clock::now() + shared.max_wait
                                                    : HttpRequest::Clock::time_point::max());
      shared.queue.emplace_back(&request);
      return true;
    }
    thread = shared.idle.back();
    shared.idle.pop_back();
    thread->current = Ref<HttpRequest>(&request);
  }
  thread->wakes.notify_one();
  return true;
}

bool HttpPool::withdraw(HttpRequest& request) noexcept {
  std::lock_guard lock(shared_->mutex);
  auto& queue = shared_->queue;
  const auto found = std::find_if(queue.begin(), queue.end(), [&](const auto& one) { return one.get() == &request; });
  if (found == queue.end()) return false;
  queue.erase(found);  // the caller holds a reference of its own
  return true;
}

void HttpPool::thread_main(std::shared_ptr<Shared> shared, Thread* self) {
  activity::thread_started();
  {
    PhpThread php(PhpThread::Kind::Http, "http-" + std::to_string(self->index));
    std::unique_lock lock(shared->mutex);
    self->php = &php;
    for (;;) {
      if (!self->current && !shared->queue.empty()) {
        self->current = std::move(shared->queue.front());
        shared->queue.pop_front();
        self->current->started();
      }
      if (!self->current) {
        if (shared->ending) break;
        shared->idle.push_back(self);
        activity::idle_begin();
        self->wakes.wait(lock, [&] { return self->current || shared->ending; });
        activity::idle_end();
        continue;
      }
      ++shared->busy;
      HttpRequest& request = *self->current;
      lock.unlock();
      run_http_script(php, request);
      lock.lock();
      --shared->busy;
      self->current = nullptr;
    }
    self->php = nullptr;
    lock.unlock();
  }
  activity::thread_stopped();
  std::lock_guard lock(shared->mutex);
  self->ended = true;
  --shared->running;
  shared->thread_ended.notify_all();
}

bool HttpPool::stop(std::chrono::milliseconds grace) {
  constexpr std::chrono::seconds kInterruptFor(1);
  constexpr std::chrono::milliseconds kInterruptEvery(20);
  Shared& shared = *shared_;
  std::unique_lock lock(shared.mutex);
  shared.open = false;
  shared.ending = true;
  for (auto& request : shared.queue) request->refuse();
  shared.queue.clear();
  for (auto& thread : shared.threads) thread->wakes.notify_one();

  const auto none_runs = [&] { return shared.running == 0; };
  shared.thread_ended.wait_for(lock, grace, none_runs);
  // Again and again, because a single nudge can fall between two system calls.
  for (const auto until = HttpRequest::Clock::now() + kInterruptFor;
       !none_runs() && HttpRequest::Clock::now() < until;) {
    for (auto& thread : shared.threads) {
      if (thread->ended) continue;
      if (thread->current) thread->current->abort();
      if (thread->php) {
        thread->php->request_interrupt();
        thread->os.nudge();
      }
    }
    shared.thread_ended.wait_for(lock, kInterruptEvery, none_runs);
  }

  const bool all_ended = none_runs();
  lock.unlock();
  // No lock needed for the list: start() and stop() are the only ones to change it, and the engine calls
  // them one at a time.
  for (auto& thread : shared.threads) {
    bool ended;
    {
      std::lock_guard relock(shared.mutex);
      ended = thread->ended;
    }
    if (ended) {
      thread->os.join();
    } else {
      thread->os.abandon();
    }
  }
  if (all_ended) shared.threads.clear();
  return all_ended;
}

HttpPool::Load HttpPool::load() const {
  std::lock_guard lock(shared_->mutex);
  return {static_cast<uint32_t>(shared_->threads.size()), shared_->busy, static_cast<uint32_t>(shared_->queue.size())};
}

}  // namespace igor::sapi
