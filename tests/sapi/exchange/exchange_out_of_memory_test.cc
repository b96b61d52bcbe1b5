// A response for which there is no memory: the caller gets all of it, or a 500, or is told to cut what it has sent a
// part of. Never a part that passes for the whole.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>

#include "sapi/attention.h"
#include "sapi/http_request.h"
#include "tests/module/failing_system.h"

namespace igor::sapi {
namespace {

using test::Refuse;

const std::string kBody(100'000, 'b');  // three pieces for one who is attended

HttpRequestOptions options(bool attended) {
  HttpRequestOptions made;
  made.script_filename = "/srv/app/a script with a long name.php";
  made.method = "GET";
  made.request_uri = "/a/page/with/a/long/name";
  made.content_length = 0;
  made.attended = attended;
  made.token = 7;
  return made;
}

// What the caller has got when it is over.
struct Answer {
  int status = 0;
  std::string body;
  bool cut = false;

  void take(const HttpEvent& event) {
    if (event.kind == HttpEvent::Kind::Finished && event.refused) cut = true;
    if (event.informational) return;
    if (event.has_headers) status = event.status;
    body.append(event.body);
  }
};

void respond(HttpRequest& request) {
  request.begin_headers(200);
  request.add_header("Content-Type", "text/html; charset=utf-8, and more that needs memory");
  bool there = true;
  for (size_t at = 0; there && at < kBody.size(); at += 10'000) there = request.write(kBody.data() + at, 10'000);
  if (there && request.attended()) request.flush();
  request.finish();
}

void expect_whole_or_nothing(const Answer& answer) {
  if (answer.cut) return;
  if (answer.status == 200) {
    EXPECT_TRUE(answer.body == kBody) << answer.body.size() << " bytes passed for the whole";
  } else {
    EXPECT_EQ(answer.status, 500);
    EXPECT_EQ(answer.body, "");
  }
}

// The request is made with all the memory it wants; how often was the script refused some?
int64_t run(bool attended, int64_t nth, Refuse how) {
  const int64_t before = test::living_allocations;
  int64_t refused = 0;
  {
    const auto request = Ref<HttpRequest>::adopt(new HttpRequest(options(attended), nullptr));
    Answer answer;
    answer.body.reserve(2 * kBody.size());
    if (attended) {
      std::thread script([&] {
        test::memory.arm(nth, how);
        respond(*request);
      });
      HttpEvent event;
      while (request->next(InputKind::None, {}, event)) answer.take(event);
      script.join();
      refused = test::memory.disarm();
    } else {
      test::memory.arm(nth, how);
      respond(*request);
      refused = test::memory.disarm();
      HttpEvent event;
      while (request->next(InputKind::None, {}, event)) answer.take(event);
    }
    expect_whole_or_nothing(answer);
    if (refused == 0) {
      EXPECT_EQ(answer.status, 200);
      EXPECT_FALSE(answer.cut);
    }
  }
  EXPECT_EQ(test::living_allocations, before) << "leaked when allocation " << nth << " was refused";
  return refused;
}

void refuse_each(bool attended) {
  for (const Refuse how : {Refuse::Once, Refuse::FromThenOn}) {
    run(attended, 1'000'000, how);
    int64_t nth = 1;
    while (run(attended, nth, how) > 0 && !testing::Test::HasFailure()) ++nth;
    EXPECT_GT(nth, 3) << "nothing was tested";
  }
}

TEST(ExchangeOutOfMemory, WithoutACallerWhileItRuns) {
  refuse_each(false);
}

TEST(ExchangeOutOfMemory, WithACaller) {
  refuse_each(true);
}

TEST(ExchangeOutOfMemory, AHintAndACallerThatIsWanted) {
  for (int64_t nth = 1;; ++nth) {
    const auto request = Ref<HttpRequest>::adopt(new HttpRequest(options(false), nullptr));
    test::memory.arm(nth, Refuse::FromThenOn);
    request->begin_headers(103);
    request->add_header("Link", "</style.css>; rel=preload; as=style");
    request->send_informational();
    respond(*request);
    const int64_t refused = test::memory.disarm();
    const bool attended = request->attended();
    Answer answer;
    HttpEvent event;
    while (request->next(InputKind::None, {}, event)) answer.take(event);
    expect_whole_or_nothing(answer);
    uint64_t token = 0;
    const bool wanted = AttentionQueue::global().take(&token, 1) == 1;
    EXPECT_EQ(wanted, attended) << "it waits for a caller that nobody has called, or the reverse";
    if (refused == 0 || HasFailure()) break;
  }
}

}  // namespace
}  // namespace igor::sapi
