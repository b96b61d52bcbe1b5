#include "sapi/engine.h"
#include "sapi/request_queue.h"

namespace igor::sapi {

std::shared_ptr<void> make_request_queue(const PoolOptions&) {
  Engine& engine = Engine::instance();
  RequestQueue::Options options;
  options.max_wait = engine.max_wait();
  options.max_idle = engine.max_idle();
  options.budget = &engine.budget();
  return std::make_shared<RequestQueue>(std::move(options));
}

}  // namespace igor::sapi
