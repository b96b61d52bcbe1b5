// Where a request waits before a PHP thread takes it: the threads that run a script per request, or a pool
// of HTTP workers. The wait has an end, and it is the caller's own wait (HttpRequest::next): when it is
// over, the request is asked for back, so no timer is needed here.
//
// Threads: any. Locks: the holder's own, which comes before a request's.
#pragma once

namespace igor::sapi {

class HttpRequest;

class RequestHolder {
 public:
  // Takes the request out of the queue; false when it is not in it any more.
  virtual bool withdraw(HttpRequest& request) noexcept = 0;

 protected:
  ~RequestHolder() = default;
};

}  // namespace igor::sapi
