// Classic requests through the C ABI: superglobals, input, output, headers, early and violent ends.
#include <gmock/gmock.h>

#include <algorithm>
#include <ctime>

#include "tests/sapi/http_host.h"

namespace igor::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class HttpRequest : public HttpHost {};

TEST_F(HttpRequest, SmallResponseIsOneEvent) {
  const Response response = get("<?php echo 'hello ', PHP_SAPI;");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "hello frankenphp");
  EXPECT_EQ(response.events, 1);
  EXPECT_EQ(response.header("Content-Type"), "text/html; charset=UTF-8");
}

TEST_F(HttpRequest, EmptyScriptStillHasHeaders) {
  const Response response = get("");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(response.events, 1);
}

TEST_F(HttpRequest, OpcacheIsOn) {
  Request request(
      script("<?php echo json_encode([opcache_get_status()['opcache_enabled'], "
             "opcache_is_script_cached(__FILE__)]);"));
  run(request);
  EXPECT_EQ(run(request).body, "[true,true]");
}

TEST_F(HttpRequest, Superglobals) {
  Request request(
      script("<?php echo json_encode([$_GET, $_COOKIE, $_SERVER['HTTP_HOST'], $_SERVER['EXTRA'], "
             "$_SERVER['PHP_AUTH_USER'], $_SERVER['PHP_AUTH_PW'], getenv('FROM_CONFIG'), "
             "$_ENV['FROM_CONFIG'], $_SERVER['FROM_CONFIG'], isset($_SERVER['argv']), "
             "is_float($_SERVER['REQUEST_TIME_FLOAT']), filter_input(INPUT_SERVER, 'EXTRA')]);"));
  request.cookie = "c=1; d=x%20y";
  request.authorization = "Basic dXNlcjpwYTpzcw==";
  request.server_vars.emplace_back("EXTRA", "e");
  request.env = {{"FROM_CONFIG", "v"}};
  EXPECT_EQ(
      run(request).body,
      R"([{"a":"1","b":"two"},{"c":"1","d":"x y"},"example.test","e","user","pa:ss","v","v","v",false,true,"e"])");
  // And nothing of it is left for the next request on the same thread.
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(get("<?php echo json_encode([$_COOKIE, getenv('FROM_CONFIG'), $_SERVER['PHP_AUTH_USER'] ?? null]);").body,
              "[[],false,null]");
  }
}

TEST_F(HttpRequest, HeaderVariablesCannotBeSpoofed) {
  Request request(
      script("<?php echo json_encode([$_SERVER['HTTP_PROXY'] ?? null, "
             "$_SERVER['HTTP_X_FORWARDED_FOR'] ?? null, $_SERVER['HTTP_X_ONLY'] ?? null, "
             "$_SERVER['HTTP_X_FINE'] ?? null, $_SERVER['HTTP_A_B'] ?? null]);"));
  request.server_vars = {{"HTTP_PROXY", "evil:1"}, {"HTTP_X_FORWARDED_FOR", "6.6.6.6"},
                         {"HTTP_X_ONLY", "evil"},  {"HTTP_X_FINE", "fine"},
                         {"HTTP_A.B", "evil"},     {"HTTP_A[B", "evil"}};
  request.headers = {{"Proxy", "evil:1"},
                     {"X_Forwarded_For", "6.6.6.6"},
                     {"X-Forwarded-For", "10.0.0.1"},
                     {"X_Only", "evil"},
                     {"X-Fine", "fine"}};
  EXPECT_EQ(run(request).body, R"([null,"10.0.0.1",null,"fine",null])");
}

// A header with an underscore casts doubt on those that become the same variable, not on what the configuration says.
TEST_F(HttpRequest, HeadersCannotTakeWhatIsConfigured) {
  const std::string show =
      script("<?php echo json_encode([$_SERVER['HTTP_X_TENANT'] ?? null, $_SERVER['HTTP_X_LATER'] ?? null]);");
  for (const bool posing_first : {false, true}) {
    Request request(show);
    request.env = {{"HTTP_X_TENANT", "configured"}};
    request.server_vars = {{"HTTP_X_TENANT", "client's"}, {"HTTP_X_LATER", "6.6.6.6"}, {"HTTP_X_TENANT", "configured"}};
    request.headers = {{"X-Tenant", "client's"}, {"X_Tenant", "evil"}, {"X-Later", "10.0.0.1"}, {"X_Later", "6.6.6.6"}};
    if (posing_first) std::reverse(request.headers.begin(), request.headers.end());
    EXPECT_EQ(run(request).body, R"(["configured","10.0.0.1"])") << posing_first;

    request.headers = {{"X_Tenant", "evil"}};
    EXPECT_EQ(run(request).body, R"(["configured","6.6.6.6"])");
  }
}

// As many headers as a client likes: each is looked at once or twice, not once for every other one.
TEST_F(HttpRequest, ManyHeadersOfWhichOneHasAnUnderscore) {
  constexpr int kHeaders = 60000;
  Request request(script("<?php echo count($_SERVER) >= 60000, $_SERVER['HTTP_X59999'];"));
  for (int i = 0; i < kHeaders; ++i) {
    request.headers.emplace_back("X" + std::to_string(i), "v");
    request.server_vars.emplace_back("HTTP_X" + std::to_string(i), "v");
  }
  request.headers.emplace_back("X_Y", "z");
  const auto cpu = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  const double before = cpu();
  EXPECT_EQ(run(request).body, "1v");
  // Compared with each other they take some ten seconds of CPU time, and a hundredth of that otherwise.
  EXPECT_LT(cpu() - before, 5);
}

TEST_F(HttpRequest, PostForm) {
  Request request(
      script("<?php echo json_encode([$_POST, $_SERVER['REQUEST_METHOD'], "
             "file_get_contents('php://input')]);"));
  request.method = "POST";
  request.server_vars = {{"REQUEST_METHOD", "POST"}};
  request.content_type = "application/x-www-form-urlencoded";
  request.body = "x=1&y[]=2&y[]=3";
  EXPECT_EQ(run(request).body, R"([{"x":"1","y":["2","3"]},"POST","x=1&y[]=2&y[]=3"])");
}

TEST_F(HttpRequest, BigBodiesAreStreamed) {
  for (const bool chunked : {false, true}) {
    Request request(
        script("<?php $h = hash_init('crc32b'); $n = 0; $f = fopen('php://input', 'r');"
               "while (!feof($f)) { $s = fread($f, 100000); $n += strlen($s); hash_update($h, $s); }"
               "echo $n, ' ', hash_final($h);"));
    request.method = "PUT";
    request.content_type = "application/octet-stream";
    request.chunked = chunked;
    request.body.resize(10 << 20);
    for (size_t i = 0; i < request.body.size(); ++i) request.body[i] = static_cast<char>(i * 2654435761u >> 13);
    Request echo(script("<?php echo hash('crc32b', file_get_contents('" + directory_ + "/body'));"));
    script(request.body, "body");
    EXPECT_EQ(run(request).body, "10485760 " + run(echo).body) << "chunked " << chunked;
  }
}

TEST_F(HttpRequest, UploadGoesThroughAFile) {
  Request request(
      script("<?php $f = $_FILES['pic']; echo json_encode([$_POST['t'], $f['name'], $f['error'], "
             "$f['size'], filesize($f['tmp_name']), is_uploaded_file($f['tmp_name'])]);"));
  request.method = "POST";
  request.content_type = "multipart/form-data; boundary=XX";
  const std::string picture(300000, 'p');
  request.body =
      "--XX\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\nv\r\n"
      "--XX\r\nContent-Disposition: form-data; name=\"pic\"; filename=\"a.jpg\"\r\n"
      "Content-Type: image/jpeg\r\n\r\n" +
      picture + "\r\n--XX--\r\n";
  request.piece = 1000;
  EXPECT_EQ(run(request).body, R"(["v","a.jpg",0,300000,300000,true])");
}

TEST_F(HttpRequest, UnreadBodyIsNotAskedFor) {
  int asked = 0;
  Request request(script("<?php echo 'done';"));
  request.method = "PUT";
  request.body.assign(5 << 20, 'x');
  request.on_input = [&](size_t) { return ++asked, -1; };
  EXPECT_EQ(run(request).body, "done");
  EXPECT_EQ(asked, 0);
}

TEST_F(HttpRequest, CutBodyDoesNotRunTheScript) {
  const std::string mark = directory_ + "/ran";
  Request request(script("<?php touch('" + mark + "');"));
  request.method = "POST";
  request.content_type = "application/x-www-form-urlencoded";
  request.body.assign(1 << 20, 'x');
  request.on_input = [](size_t sent) { return sent > 100000 ? static_cast<int>(IGOR_INPUT_ERROR) : -1; };
  run(request);
  EXPECT_FALSE(std::filesystem::exists(mark));
  // An early end without an error is the same: half a form is no form.
  request.on_input = [](size_t sent) { return sent > 100000 ? static_cast<int>(IGOR_INPUT_END) : -1; };
  run(request);
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(HttpRequest, FlushArrivesWhileTheScriptWaits) {
  // The second half is sent only when a file says that the first has arrived.
  const std::string seen = directory_ + "/seen";
  Request request(script("<?php header('X-A: b'); echo 'first'; flush(); for ($i = 0; $i < 500 && !file_exists('" +
                         seen + "'); $i++) { usleep(10000); clearstatcache(); } echo file_exists('" + seen +
                         "') ? ' second' : ' late';"));
  request.on_event = [&](igor_handle, const igor_event& event) {
    if (event.kind == IGOR_EVENT_OUTPUT && view(event.body) == "first") {
      EXPECT_TRUE(event.flags & IGOR_EVENT_FLUSH);
      EXPECT_TRUE(event.flags & IGOR_EVENT_HAS_HEADERS);
      std::ofstream(seen) << "x";
    }
    return true;
  };
  const Response response = run(request);
  EXPECT_EQ(response.body, "first second");
  EXPECT_EQ(response.header("X-A"), "b");
}

TEST_F(HttpRequest, HeadersOnlyFlushSendsThem) {
  const Response response =
      get("<?php header('Content-Type: text/event-stream'); flush(); echo 'x'; flush(); echo 'y';");
  EXPECT_EQ(response.body, "xy");
  EXPECT_GE(response.flushes, 1) << "two that the caller was too slow for become one";
  EXPECT_EQ(response.header("content-type"), "text/event-stream;charset=UTF-8");
}

TEST_F(HttpRequest, BigOutputIsBounded) {
  size_t largest = 0;
  Request request(script("<?php for ($i = 0; $i < 40; $i++) echo str_repeat(chr(65 + $i % 26), 500000);"));
  request.on_event = [&](igor_handle, const igor_event& event) {
    largest = std::max(largest, event.body.len);
    return true;
  };
  const Response response = run(request);
  EXPECT_EQ(response.body.size(), 20000000u);
  for (size_t i = 0; i < 40; ++i) EXPECT_EQ(response.body[i * 500000 + 250000], static_cast<char>(65 + i % 26));
  EXPECT_LE(largest, (256u << 10) + (32u << 10));
}

TEST_F(HttpRequest, StatusHeadersCookies) {
  const Response response =
      get("<?php http_response_code(201); header('X-One: 1'); header('X-One: 2', false);"
          "header('NoColon'); setcookie('a', 'b c'); setcookie('d', 'e'); echo 'x';");
  EXPECT_EQ(response.status, 201);
  EXPECT_THAT(response.all("X-One"), ElementsAre("1", "2"));
  EXPECT_THAT(response.all("Set-Cookie"), ElementsAre("a=b%20c", "d=e"));
  EXPECT_EQ(response.all("NoColon").size(), 0u);
}

TEST_F(HttpRequest, Redirect) {
  const Response response = get("<?php header('Location: /elsewhere'); exit;");
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(response.header("Location"), "/elsewhere");
}

TEST_F(HttpRequest, HeadHasHeadersAndNoBody) {
  Request request(
      script("<?php header('X-Ran: yes'); echo 'body'; file_put_contents('" + directory_ + "/end', 'end');"));
  request.method = "HEAD";
  const Response response = run(request);
  EXPECT_EQ(response.header("X-Ran"), "yes");
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(content(directory_ + "/end"), "end") << "the script was cut short";
}

TEST_F(HttpRequest, InformationalComesFirst) {
  const Response response =
      get("<?php header('Link: </a.css>; rel=preload'); headers_send(103);"
          "header('X-Later: 1'); echo 'body';");
  ASSERT_EQ(response.informational.size(), 1u);
  EXPECT_EQ(response.informational[0].first, 103);
  EXPECT_THAT(response.informational[0].second, ::testing::Contains(::testing::Pair("Link", "</a.css>; rel=preload")));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("X-Later"), "1");
  EXPECT_EQ(response.header("Link"), "</a.css>; rel=preload");
}

TEST_F(HttpRequest, ExitKeepsOutputAndRunsShutdownFunctions) {
  EXPECT_EQ(get("<?php register_shutdown_function(fn() => print('!')); echo 'a'; exit('b'); echo 'c';").body, "ab!");
}

TEST_F(HttpRequest, FatalErrorIs500AndLogged) {
  Request request(script("<?php\n\nundefined_function();"));
  request.uri = "/shop?x=1";
  const Response response = run(request);
  EXPECT_EQ(response.status, 500);
  const LogLine line = logged("undefined_function");
  EXPECT_EQ(line.level, IGOR_LOG_ERROR);
  EXPECT_EQ(line.logger, "php");
  EXPECT_EQ(line.fields.at("file"), request.script);
  EXPECT_EQ(line.fields.at("line"), "3");
  EXPECT_EQ(line.fields.at("url"), "/shop?x=1");
  EXPECT_THAT(line.fields.at("thread"), HasSubstr("http-"));
}

TEST_F(HttpRequest, WarningsNoticesAndErrorLog) {
  const Response response =
      get("<?php echo $nothing; trigger_error('mine', E_USER_NOTICE); error_log(\"two\\nlines\");");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(logged("Undefined variable $nothing").level, IGOR_LOG_WARN);
  EXPECT_EQ(logged("Notice: mine").level, IGOR_LOG_INFO);
  EXPECT_EQ(logged("two\nlines").message, "two\nlines");
}

TEST_F(HttpRequest, MemoryLimit) {
  if (!memory_limit_works()) GTEST_SKIP() << "USE_ZEND_ALLOC=0: the engine does not count";
  const Response response =
      get("<?php ini_set('memory_limit', '8M'); $a = []; while (true) $a[] = str_repeat('x', 10000);");
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(logged("Allowed memory size of").level, IGOR_LOG_ERROR);
  EXPECT_EQ(get("<?php echo 'alive';").body, "alive");
}

TEST_F(HttpRequest, InfiniteRecursionIsAnError) {
  const Response response =
      get("<?php class A { function __get($n) { return $this->{$n . 'x'}; } }"
          "function f($a) { return array_map('f', [$a]); } try { f(1); } catch (Error $e) { echo get_class($e), ' ', "
          "substr($e->getMessage(), 0, 26); }");
  EXPECT_EQ(response.body, "Error Maximum call stack size of");
  EXPECT_EQ(get("<?php echo 'alive';").body, "alive");
}

TEST_F(HttpRequest, TimeLimit) {
  const Response response = get("<?php set_time_limit(1); while (true) {}");
  EXPECT_EQ(response.status, 500);
  logged("Maximum execution time of 1 second exceeded");
}

TEST_F(HttpRequest, TimeLimitInShutdownDoesNotKillTheProcess) {
  get("<?php register_shutdown_function(function () { set_time_limit(1); while (true) {} }); echo 'x';");
  logged("Maximum execution time of 1 second exceeded");
  EXPECT_EQ(get("<?php echo 'alive';").body, "alive");
}

TEST_F(HttpRequest, SyntaxError) {
  EXPECT_EQ(get("<?php this is no php").status, 500);
  EXPECT_EQ(logged("syntax error").level, IGOR_LOG_ERROR);
}

TEST_F(HttpRequest, MissingScriptIs404) {
  const Response response = run(Request(directory_ + "/none.php"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, "File not found.\n");
  logged("cannot open the script " + directory_ + "/none.php");
}

TEST_F(HttpRequest, FinishEarlyAndGoOn) {
  const std::string later = directory_ + "/later";
  Request request(
      script("<?php ob_start(); echo 'sent'; header('X-A: 1'); var_export(fastcgi_finish_request()) ?: 0;"
             "echo str_repeat('lost', 100000); flush(); ob_flush(); header('X-B: 1');"
             "file_put_contents('" +
             later +
             "', json_encode([fastcgi_finish_request(), "
             "connection_aborted(), connection_status(), headers_sent()]));"));
  const Response response = run(request);
  EXPECT_EQ(response.body, "sent");
  EXPECT_EQ(response.header("X-A"), "1");
  EXPECT_EQ(content(later), "[false,0,0,true]");
  EXPECT_EQ(get("<?php echo 'next';").body, "next");
}

TEST_F(HttpRequest, AbortStopsTheScriptAtItsNextOutput) {
  const std::string mark = directory_ + "/mark";
  Request request(script("<?php register_shutdown_function(function () { file_put_contents('" + mark +
                         "', 'status ' . connection_status()); });"
                         "echo 'x'; flush(); for ($i = 0; $i < 1000; $i++) { usleep(5000); echo 'y'; flush(); }"
                         "file_put_contents('" +
                         mark + "', 'ran on');"));
  request.on_event = [](igor_handle handle, const igor_event& event) {
    if (event.kind != IGOR_EVENT_OUTPUT) return true;
    EXPECT_EQ(igor_request_abort(handle), IGOR_OK);
    return true;
  };
  run(request);
  EXPECT_EQ(content(mark), "status 1");
}

TEST_F(HttpRequest, IgnoreUserAbort) {
  const std::string mark = directory_ + "/mark";
  Request request(
      script("<?php ignore_user_abort(true); echo 'x'; flush(); usleep(50000); echo str_repeat('y', 1000000);"
             "file_put_contents('" +
             mark + "', connection_aborted());"));
  request.on_event = [](igor_handle handle, const igor_event& event) {
    if (event.kind == IGOR_EVENT_OUTPUT) igor_request_abort(handle);
    return true;
  };
  run(request);
  EXPECT_EQ(content(mark), "1");
}

TEST_F(HttpRequest, ReleaseWithoutReadingEndsAWriterThatIsBlocked) {
  const std::string mark = directory_ + "/mark";
  Request request(script("<?php register_shutdown_function(fn() => file_put_contents('" + mark +
                         "', 'ended'));"
                         "while (true) echo str_repeat('y', 100000);"));
  igor_handle handle;
  ASSERT_EQ(begin(request, handle), IGOR_OK);
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(igor_request_release(handle), IGOR_OK);
  EXPECT_EQ(content(mark), "ended");
  igor_event event{};
  event.size = sizeof event;
  EXPECT_EQ(igor_request_next(handle, IGOR_INPUT_NONE, {}, &event), IGOR_GONE);
  EXPECT_EQ(igor_request_abort(handle), IGOR_GONE);
}

TEST_F(HttpRequest, FibersMayDoEverything) {
  Request request(
      script("<?php $f = new Fiber(function () { header('X-Fiber: 1'); echo 'a'; flush(); Fiber::suspend();"
             "echo strlen(file_get_contents('php://input')); flush(); echo $undefined; Fiber::suspend();"
             "echo str_repeat('z', 1000000); exit; });"
             "$f->start(); echo 'b'; flush(); $f->resume(); echo 'c'; $f->resume(); echo 'not here';"));
  request.method = "PUT";
  request.body.assign(200000, 'i');
  const Response response = run(request);
  EXPECT_EQ(response.header("X-Fiber"), "1");
  EXPECT_EQ(response.body, "ab200000c" + std::string(1000000, 'z'));
  logged("Undefined variable $undefined");
}

TEST_F(HttpRequest, BailoutInAFiber) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(get("<?php $f = new Fiber(function () { eval('class A { abstract function b(); }'); });"
                  "$f->start();")
                  .status,
              500);
  }
  EXPECT_EQ(get("<?php echo 'alive';").body, "alive");
}

TEST_F(HttpRequest, OutputCallbackThatThrowsOrDies) {
  EXPECT_EQ(get("<?php ob_start(fn($b) => strtoupper($b)); echo 'x';").body, "X");
  get("<?php ob_start(function ($b) { throw new Exception('in callback'); }); echo 'x';");
  get("<?php ob_start(function ($b) { eval('class A { abstract function b(); }'); }); echo 'x';");
  EXPECT_EQ(get("<?php echo 'alive';").body, "alive");
}

TEST_F(HttpRequest, Sessions) {
  Request request(script("<?php session_save_path('" + directory_ +
                         "'); session_start(); $_SESSION['n'] = "
                         "($_SESSION['n'] ?? 0) + 1; echo $_SESSION['n'];"));
  const Response first = run(request);
  EXPECT_EQ(first.body, "1");
  request.cookie = first.header("Set-Cookie").substr(0, first.header("Set-Cookie").find(';'));
  // The next request may come the moment the first one's response is over: the session must be stored then.
  for (int n = 2; n < 50; ++n) EXPECT_EQ(run(request).body, std::to_string(n));
}

TEST_F(HttpRequest, WrongCallsAreRefused) {
  igor_handle handle;
  EXPECT_EQ(igor_request_start(nullptr, &handle), IGOR_INVALID);
  igor_request_options options{};
  options.size = sizeof options;
  EXPECT_EQ(igor_request_start(&options, &handle), IGOR_INVALID) << "no script";
  options.script_filename = str("/a.php");
  options.method = str(std::string_view("G\0T", 3));
  EXPECT_EQ(igor_request_start(&options, &handle), IGOR_INVALID) << "NUL in a string";
  options.method = str("GET");
  options.server_vars = str("abc");
  EXPECT_EQ(igor_request_start(&options, &handle), IGOR_INVALID) << "not packed pairs";
  options.server_vars = {};
  options.scope = 0x100000099;
  EXPECT_EQ(igor_request_start(&options, &handle), IGOR_GONE) << "no such scope";
  EXPECT_EQ(handle, 0u);
  char error[256] = "";
  igor_engine_options engine{};
  engine.size = sizeof engine;
  EXPECT_EQ(igor_engine_start(&engine, error, sizeof error), IGOR_STATE);
  EXPECT_THAT(error, HasSubstr("already running"));
  engine.spare_threads = 4097;
  EXPECT_EQ(igor_engine_start(&engine, error, sizeof error), IGOR_INVALID);
  EXPECT_THAT(error, HasSubstr("from 0 to 4096"));
}

// --- More threads than one --------------------------------------------------------------------------------

TEST_F(HttpRequest, ManyConcurrentRequests) {
  const std::string hello = script("<?php echo 'hello ', $_GET['n'];");
  const std::string big = script("<?php echo str_repeat('x', 100000);");
  const std::string dies = script("<?php echo 'half'; flush(); nothing();");
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  const int rounds = std::getenv("IGOR_TEST_ROUNDS") ? std::atoi(std::getenv("IGOR_TEST_ROUNDS")) : 300;
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < rounds; ++i) {
        Request request;
        const std::string n = std::to_string(t * 100000 + i);
        request.query = "n=" + n;
        request.script = i % 10 == 8 ? big : i % 50 == 9 ? dies : hello;
        const Response response = run(request);
        if (request.script == hello ? response.body != "hello " + n
            : request.script == big ? response.body.size() != 100000
                                    : response.body != "half") {
          ++wrong;
        }
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

class HttpRunner : public HttpHost {
 protected:
  bool start_by_hand() override { return true; }
};

TEST_F(HttpRunner, StopEndsScriptsAndRefusesTheRest) {
  ASSERT_EQ(start(), IGOR_OK) << error_;
  std::vector<std::thread> callers;
  std::atomic<int> refused{0}, ended{0};
  for (const char* code : {"<?php while (true) {}", "<?php sleep(60);"}) {
    const std::string mark = directory_ + "/running" + std::to_string(callers.size());
    const std::string path = script("<?php touch('" + mark + "'); ?>" + code);
    callers.emplace_back([&, path] {
      const Response response = run(Request(path));
      ++(response.refused ? refused : ended);
    });
    while (!std::filesystem::exists(mark)) std::this_thread::yield();
  }
  igor_handle late;  // made, but not run yet
  ASSERT_EQ(make(Request(script("<?php echo 'never';")), 0, false, late), IGOR_OK);
  const auto began = steady_clock::now();
  EXPECT_EQ(igor_engine_stop(100), IGOR_OK);
  EXPECT_LT(steady_clock::now() - began, milliseconds(1000));
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(ended, 2);
  igor_event event{};
  event.size = sizeof event;
  EXPECT_EQ(igor_request_run(late, &event), IGOR_OK);
  EXPECT_EQ(event.kind, static_cast<uint32_t>(IGOR_EVENT_FINISHED));
  EXPECT_TRUE(event.flags & IGOR_EVENT_REFUSED);
  EXPECT_EQ(igor_request_release(late), IGOR_OK);
  igor_handle handle;
  EXPECT_EQ(begin(Request("/x.php"), handle), IGOR_STATE);
}

// The engine believes what is configured, and a thread's stack is what it is.
TEST_F(HttpRunner, AStackThatIsSmallerThanConfiguredEndsInAnError) {
  ASSERT_EQ(start("zend.max_allowed_stack_size=4G\nmemory_limit=-1\n"), IGOR_OK) << error_;
  EXPECT_EQ(get("<?php function f($x) { return array_map('f', [1]); } try { f(1); } catch (Error $e) { echo "
                "str_starts_with($e->getMessage(), 'Maximum call stack size') ? 'told' : $e->getMessage(); }")
                .body,
            "told");
}

TEST_F(HttpRunner, EngineStartsAgain) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(start(), IGOR_OK) << error_;
    EXPECT_EQ(get("<?php echo 'run', opcache_get_status()['opcache_enabled'] ? '' : ' without opcache';").body, "run");
    EXPECT_EQ(igor_engine_stop(1000), IGOR_OK);
  }
}

TEST_F(HttpRunner, IniTextOverrides) {
  ASSERT_EQ(start("memory_limit=77M\nprecision=3\n"), IGOR_OK) << error_;
  EXPECT_EQ(get("<?php echo ini_get('memory_limit'), ' ', 1 / 3, ' ', ini_get('max_execution_time'), ' ', "
                "ini_get('html_errors');")
                .body,
            "77M 0.333 30 1");
}

TEST_F(HttpRunner, ProblemsOfTheStartAreLogged) {
  ASSERT_EQ(start("extension=no_such_extension\n"), IGOR_OK) << error_;
  EXPECT_EQ(get("<?php echo 'alive';").body, "alive");
  EXPECT_EQ(logged("no_such_extension").logger, "engine");
}

// In a process of its own, which cannot be used for anything after it.
class HttpStuckDeathTest : public HttpHost {
 protected:
  bool start_by_hand() override { return true; }
};

TEST_F(HttpStuckDeathTest, AThreadThatCannotBeEndedIsLeftBehind) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto body = [this] {
    if (start() != IGOR_OK) _exit(10);
    igor_handle stuck;
    // Hashes for hours without an instruction in between.
    if (begin(Request(script("<?php hash_pbkdf2('sha512', 'p', 's', 2000000000);")), stuck) != IGOR_OK) _exit(11);
    std::this_thread::sleep_for(milliseconds(200));
    const auto began = steady_clock::now();
    if (igor_engine_stop(100) != IGOR_TIMEOUT) _exit(12);
    if (steady_clock::now() - began > milliseconds(4000)) _exit(13);
    char text[256] = "";
    igor_engine_options options{};
    options.size = sizeof options;
    if (igor_engine_start(&options, text, sizeof text) != IGOR_STATE) _exit(14);
    if (std::string(text).find("restart the process") == std::string::npos) _exit(15);
    igor_request_release(stuck);
    _exit(0);
  };
  EXPECT_EXIT(body(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace igor::testing
