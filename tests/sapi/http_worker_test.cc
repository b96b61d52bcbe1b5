// HTTP worker mode through the C ABI: one script's run serves many requests, and nothing of one is there in
// the next. The requests carry PHP code, which the worker's callback evaluates.
#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "sapi/php_thread.h"
#include "tests/sapi/http_host.h"

namespace igor::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HttpWorkers : public HttpHost {
 protected:
  bool start_by_hand() override { return true; }

  void TearDown() override {
    if (generation_ != 0) {
      EXPECT_EQ(igor_generation_close(generation_), IGOR_OK);
    }
    HttpHost::TearDown();
  }

  // A server with one pool of workers, whose script runs `boot` and then serves.
  void serve(const std::string& boot = "", const std::function<void(igor_pool_options&)>& change = {},
             const std::string& ini = "", uint32_t max_wait_ms = 0, uint32_t spare_threads = 0,
             uint32_t max_idle_ms = 0) {
    if (!up_) {
      ASSERT_EQ(start("session.save_path=" + directory_ + "\nsession.use_strict_mode=1\n" + ini, 0, max_wait_ms,
                      spare_threads, max_idle_ms),
                IGOR_OK)
          << error_;
      up_ = true;
    }
    serve_file(script("<?php " + boot +
                          "\n$n = 0; $id = bin2hex(random_bytes(4));\n"
                          "$serve = function () use (&$n, $id) { header('X-Run: ' . $id); header('X-N: ' . ++$n);"
                          " eval($_SERVER['CODE']); };\n"
                          "while (frankenphp_handle_request($serve)) { }\n"
                          "echo \"loop ended $id\\n\";",
                      "worker.php"),
               change);
    ASSERT_EQ(igor_generation_start(generation_, text_, sizeof text_), IGOR_OK) << text_;
  }

  void serve_file(const std::string& file, const std::function<void(igor_pool_options&)>& change = {}) {
    file_ = file;
    ASSERT_EQ(igor_generation_open(0, &generation_, text_, sizeof text_), IGOR_OK) << text_;
    igor_handle scope = 0;
    ASSERT_EQ(igor_scope_open(generation_, str("test"), 0, &scope, text_, sizeof text_), IGOR_OK) << text_;
    igor_pool_options options{};
    options.size = sizeof options;
    options.name = str("app");
    options.file = str(file_);
    options.kind = IGOR_POOL_REQUESTS;
    options.num = 1;
    options.stop_grace_ms = 2000;
    if (change) change(options);
    ASSERT_EQ(igor_pool_add(scope, &options, &pool_, text_, sizeof text_), IGOR_OK) << text_;
  }

  Request request(const std::string& code) const {
    Request request(file_);
    request.worker = pool_;
    request.server_vars.emplace_back("CODE", code);
    request.server_vars.emplace_back("SCRIPT_FILENAME", file_);
    return request;
  }
  // The response of a request that runs the code.
  Response ask(const std::string& code) { return run(request(code)); }
  std::string report() {
    char* json = nullptr;
    size_t size = 0;
    EXPECT_EQ(igor_report(generation_, &json, &size), IGOR_OK);
    std::string text(json, size);
    igor_free(json);
    return text;
  }
  std::string body(const std::string& code) { return ask(code).body; }

  // Nothing of what `leak` does shows in `probe`, which the next request of the same run asks; `fresh` is
  // what it answers where nothing has happened.
  void no_leak(const std::string& leak, const std::string& probe) {
    const Response before = ask(probe);
    const Response during = ask(leak);
    const Response after = ask(probe);
    EXPECT_EQ(during.header("X-Run"), after.header("X-Run")) << leak << "\nended the script: " << during.body;
    EXPECT_EQ(before.body, after.body) << leak;
    EXPECT_NE(before.body + during.body, "") << "neither says anything";
  }

  igor_handle generation_ = 0, pool_ = 0;
  std::string file_;
  char text_[2048] = "";
  bool up_ = false;
};

TEST_F(HttpWorkers, OneRunServesManyRequests) {
  serve();
  const Response first =
      ask("echo $_GET['a'], ' ', $_SERVER['FRANKENPHP_WORKER'], ' ', "
          "$_SERVER['FRANKENPHP_WORKER_NAME'], ' ', "
          "var_export($_SERVER['FRANKENPHP_WORKER_BACKGROUND'], true), ' ', PHP_SAPI, ' ', "
          "isset($_SERVER['argv']) ? 'argv' : 'none', isset($GLOBALS['argv']) ? 'argv' : '';");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, "1 1 app false frankenphp none");
  EXPECT_EQ(first.header("X-N"), "1");
  const Response second = ask("echo $_GET['b'];");
  EXPECT_EQ(second.body, "two");
  EXPECT_EQ(second.header("X-N"), "2");
  EXPECT_EQ(second.header("X-Run"), first.header("X-Run"));
}

TEST_F(HttpWorkers, SuperglobalsAndBody) {
  serve();
  Request form = request(
      "echo json_encode([$_GET, $_POST, $_COOKIE, $_REQUEST, $_SERVER['REQUEST_METHOD'], "
      "file_get_contents('php://input')]);");
  form.method = "POST";
  form.server_vars.emplace_back("REQUEST_METHOD", "POST");
  form.content_type = "application/x-www-form-urlencoded";
  form.body = "name=one&list[]=1&list[]=2";
  form.cookie = "c=cookie1";
  EXPECT_EQ(run(form).body,
            R"([{"a":"1","b":"two"},{"name":"one","list":["1","2"]},{"c":"cookie1"},)"
            R"({"a":"1","b":"two","name":"one","list":["1","2"],"c":"cookie1"},"POST","name=one&list[]=1&list[]=2"])");
  Request plain = request(
      "echo json_encode([$_GET, $_POST, $_COOKIE, $_REQUEST, $_FILES, "
      "file_get_contents('php://input')]);");
  plain.query = "";
  EXPECT_EQ(run(plain).body, R"([[],[],[],[],[],""])");
  // Written to, they are made anew.
  body(
      "$_GET['leak'] = $_POST['leak'] = $_COOKIE['leak'] = $_REQUEST['leak'] = $_SERVER['LEAK'] = $_FILES['leak'] = "
      "1;");
  EXPECT_EQ(run(plain).body, R"([[],[],[],[],[],""])");
  EXPECT_EQ(body("echo isset($_SERVER['LEAK']) ? 'leak' : 'none';"), "none");
}

TEST_F(HttpWorkers, Uploads) {
  serve();
  const auto upload = [&](const std::string& content, const std::string& code) {
    Request r = request(code);
    r.method = "POST";
    r.content_type = "multipart/form-data; boundary=XX";
    r.body = "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"" + content +
             ".txt\"\r\nContent-Type: text/plain\r\n\r\n" + content + "\r\n--XX--\r\n";
    return run(r).body;
  };
  const std::string code = "echo $_FILES['f']['tmp_name'], ' ', file_get_contents($_FILES['f']['tmp_name']);";
  const std::string first = upload("one", code);
  EXPECT_THAT(first, HasSubstr(" one"));
  EXPECT_THAT(upload("two", code), HasSubstr(" two"));
  const std::string file = first.substr(0, first.find(' '));
  EXPECT_FALSE(std::filesystem::exists(file)) << "the upload outlived its request";
  EXPECT_EQ(body("echo json_encode($_FILES), var_export(is_uploaded_file('" + file + "'), true);"), "[]false");
}

TEST_F(HttpWorkers, HeadersAndStatus) {
  serve();
  const Response first =
      ask("http_response_code(404); header('X-Secret: 1'); header_register_callback(function () {"
          " header('X-Callback: 1'); }); setcookie('s', '1'); header('Content-Type: text/csv');");
  EXPECT_EQ(first.status, 404);
  EXPECT_EQ(first.header("X-Callback"), "1");
  const Response second = ask("echo json_encode(headers_list());");
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.header("X-Secret") + second.header("X-Callback") + second.header("Set-Cookie"), "");
  EXPECT_THAT(second.body, Not(HasSubstr("Secret")));
  EXPECT_THAT(second.header("Content-Type"), HasSubstr("text/html"));
  // A callback that was never called, because the response had no output of its own, is gone as well.
  ask("header_register_callback(function () { header('X-Late: 1'); }); frankenphp_finish_request();");
  EXPECT_EQ(ask("echo 1;").header("X-Late"), "");
}

TEST_F(HttpWorkers, OutputBuffersAreFlushedIntoTheirOwnResponse) {
  serve("", {}, "url_rewriter.tags=\"a=href\"\n");
  EXPECT_EQ(body("ob_start(); echo 'one '; ob_start(fn ($text) => strtoupper($text)); echo 'two';"), "one TWO");
  EXPECT_EQ(body("echo ob_get_level(), json_encode(ob_list_handlers());"), "0[]");
  EXPECT_EQ(body("output_add_rewrite_var('sid', 'secret'); echo '<a href=\"x.php\">';"),
            "<a href=\"x.php?sid=secret\">");
  EXPECT_EQ(body("echo '<a href=\"x.php\">';"), "<a href=\"x.php\">");
  EXPECT_EQ(body("output_add_rewrite_var('t', 'new'); echo '<a href=\"x.php\">';"), "<a href=\"x.php?t=new\">");
  EXPECT_EQ(body("ob_start(fn ($x) => throw new Exception('in the handler')); echo 'x';"), "x");
  logged("Uncaught Exception: in the handler");
  EXPECT_EQ(body("echo 'fine';"), "fine");
}

TEST_F(HttpWorkers, Session) {
  serve("session_set_cookie_params(77);");
  const Response first = ask("session_name('other'); session_start(); $_SESSION['user'] = 'alice'; echo session_id();");
  EXPECT_THAT(first.header("Set-Cookie"), HasSubstr("other=" + first.body));
  const std::string probe =
      "echo json_encode([session_status(), session_id(), session_name(), $_SESSION ?? null, "
      "ini_get('session.save_handler'), session_get_cookie_params()['lifetime']]);";
  const std::string fresh = R"([1,"","PHPSESSID",null,"files",77])";
  EXPECT_EQ(body(probe), fresh);
  const Response second = ask("session_start(); echo json_encode($_SESSION), session_id();");
  EXPECT_EQ(second.body.substr(0, 2), "[]");
  EXPECT_NE(second.body.substr(2), first.body);
  // Whoever has the cookie has the session, although the one before left it open.
  Request again = request("session_name('other'); session_start(); echo $_SESSION['user'];");
  again.cookie = "other=" + first.body;
  EXPECT_EQ(run(again).body, "alice");
  EXPECT_EQ(body(probe), fresh);
}

constexpr char kHandler[] =
    "class MemoryHandler implements SessionHandlerInterface { public static array $data = [];"
    " function open($p, $n): bool { return true; } function close(): bool { return true; }"
    " function read($id): string|false { return self::$data[$id] ?? ''; }"
    " function write($id, $d): bool { self::$data[$id] = $d; return true; }"
    " function destroy($id): bool { unset(self::$data[$id]); return true; } function gc($m): int|false { return 0; } "
    "}\n";

TEST_F(HttpWorkers, SessionHandlerOfARequestIsForgotten) {
  serve(kHandler);
  const std::string probe = "echo ini_get('session.save_handler'), session_module_name();";
  EXPECT_EQ(body(probe), "filesfiles");
  EXPECT_EQ(body("session_set_save_handler(new MemoryHandler); session_start(); $_SESSION['a'] = 1; echo "
                 "count(MemoryHandler::$data);"),
            "0");
  EXPECT_EQ(body("echo count(MemoryHandler::$data), implode(MemoryHandler::$data);"), "1a|i:1;");
  EXPECT_EQ(body(probe), "filesfiles");
  EXPECT_EQ(body("session_start(); $_SESSION['b'] = 1; session_write_close(); echo count(MemoryHandler::$data);"), "1");
}

TEST_F(HttpWorkers, SessionHandlerOfTheBootStays) {
  serve(std::string(kHandler) + "session_set_save_handler(new MemoryHandler);");
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(body("session_start(); $_SESSION['n'] = " + std::to_string(i) + "; echo session_module_name();"), "user");
    EXPECT_EQ(body("echo count(MemoryHandler::$data);"), std::to_string(i));
  }
  // One of the request's own, and then the boot's again.
  body("session_set_save_handler(new class extends MemoryHandler {}); session_start();");
  EXPECT_EQ(body("session_module_name('files'); session_start(); echo session_module_name();"), "files");
  EXPECT_EQ(body("session_start(); echo session_module_name();"), "user");
}

TEST_F(HttpWorkers, SettingsGoBackToTheBoots) {
  serve("ini_set('precision', '5'); error_reporting(E_ALL & ~E_NOTICE); ini_set('memory_limit', '200M');");
  const std::string probe =
      "echo json_encode([ini_get('precision'), error_reporting(), ini_get('memory_limit'), "
      "ini_get('display_errors'), ini_get('max_execution_time'), ignore_user_abort(), "
      "ini_get('error_log'), ini_get('include_path'), ini_get('default_charset')]);";
  no_leak(
      "ini_set('precision', '7'); error_reporting(0); ini_set('memory_limit', '300M'); "
      "ini_set('display_errors', '1'); set_time_limit(99); ignore_user_abort(true); ini_set('error_log', '/x'); "
      "set_include_path('/leak'); ini_set('default_charset', 'latin1'); ini_restore('precision');",
      probe);
  EXPECT_THAT(body(probe), HasSubstr("[\"5\",30711,\"200M\""));
  EXPECT_EQ(body("ini_restore('memory_limit'); echo ini_get('memory_limit');"), "128M");
  EXPECT_EQ(body("echo ini_get('memory_limit');"), "200M");
}

TEST_F(HttpWorkers, EnvironmentGoesBackToTheBoots) {
  serve("putenv('BOOT=1'); $_ENV['DOTENV'] = 'yes'; $_SERVER['DOTENV'] = 'yes';", {}, "variables_order=EGPCS\n");
  const std::string probe =
      "echo json_encode([getenv('BOOT'), getenv('LEAK'), $_ENV['DOTENV'] ?? null, "
      "$_ENV['LEAK'] ?? null, $_SERVER['DOTENV'] ?? null, isset($_ENV['PATH'])]);";
  EXPECT_EQ(body(probe), R"(["1",false,"yes",null,null,true])");
  no_leak("putenv('BOOT=2'); putenv('LEAK=1'); $_ENV['LEAK'] = 1; unset($_ENV['DOTENV']);", probe);
  no_leak("putenv('BOOT');", probe);
}

TEST_F(HttpWorkers, EnvOfRequestAndPool) {
  const std::string env = pack({{"FROM", "pool"}, {"POOL", "1"}});
  serve("", [&](igor_pool_options& options) { options.env = str(env); }, "variables_order=EGPCS\n");
  Request with = request("echo json_encode([getenv('FROM'), getenv('POOL'), $_SERVER['FROM'], $_SERVER['POOL']]);");
  with.env = {{"FROM", "request"}};
  EXPECT_EQ(run(with).body, R"(["request","1","request","1"])");
  with.env = {};
  EXPECT_EQ(run(with).body, R"(["pool","1","pool","1"])");
}

TEST_F(HttpWorkers, OtherState) {
  serve();
  no_leak("date_default_timezone_set('Asia/Tokyo');", "echo date_default_timezone_get();");
  no_leak(
      "mb_internal_encoding('SJIS'); mb_substitute_character(0x41); mb_language('ja'); mb_detect_order(['ASCII']);"
      "mb_http_output('SJIS');",
      "echo json_encode([mb_internal_encoding(), mb_substitute_character(), mb_language(), mb_detect_order(), "
      "mb_http_output()]);");
  // A sanitized PHP is built without the libraries that libxml needs.
  if (body("echo extension_loaded('simplexml') ? 'there' : 'missing';") == "there") {
    no_leak("libxml_use_internal_errors(true); simplexml_load_string('<a>');",
            "echo json_encode([libxml_use_internal_errors(), count(libxml_get_errors()), libxml_get_last_error()]);");
  }
  no_leak("strtok('one two three', ' ');", "echo json_encode(strtok(' '));");
  no_leak("@trigger_error('leak');", "echo json_encode(error_get_last());");
  no_leak("chdir('/');", "echo getcwd();");
  no_leak("umask(0777);", "echo umask();");
  no_leak("setlocale(LC_ALL, 'C.UTF-8');", "echo setlocale(LC_ALL, 0);");
  no_leak("stream_context_set_default(['http' => ['header' => 'Authorization: secret']]);",
          "echo json_encode(stream_context_get_options(stream_context_get_default()));");
  no_leak("json_decode('{');", "echo json_last_error();");
  no_leak("$x = str_repeat('x', 50 << 20);", "echo memory_get_peak_usage() < (20 << 20) ? 'small' : 'large';");
  no_leak("filter_var('x', FILTER_VALIDATE_INT);",
          "echo json_encode([filter_has_var(INPUT_GET, 'a'), filter_input(INPUT_COOKIE, 'c')]);");
  no_leak("$GLOBALS['kept'] = 1;", "echo connection_status(), connection_aborted();");
  EXPECT_EQ(body("echo $GLOBALS['kept'];"), "1") << "globals of the script are kept";
  // A seed of one request does not make the next one's numbers foreseeable.
  body("mt_srand(1);");
  const std::string seeded = body("mt_srand(1); echo mt_rand();");
  EXPECT_NE(body("echo mt_rand();"), body("mt_srand(1); mt_rand(); echo mt_rand();"));
  EXPECT_NE(body("echo mt_rand();"), seeded);
}

TEST_F(HttpWorkers, FilterSeesEachRequestsInput) {
  serve();
  Request r =
      request("echo filter_input(INPUT_GET, 'a'), filter_input(INPUT_COOKIE, 'c'), filter_input(INPUT_POST, 'p');");
  r.method = "POST";
  r.content_type = "application/x-www-form-urlencoded";
  r.body = "p=post";
  r.cookie = "c=cookie";
  EXPECT_EQ(run(r).body, "1cookiepost");
  r.method = "GET";
  r.body = r.cookie = r.content_type = "";
  EXPECT_EQ(run(r).body, "1");
}

TEST_F(HttpWorkers, InputStreamOfAnEarlierRequestIsClosed) {
  serve("$kept = null;");
  Request r = request("$GLOBALS['kept'] = fopen('php://input', 'r'); echo fread($GLOBALS['kept'], 3);");
  r.method = "POST";
  r.content_type = "text/plain";
  r.body = "first body";
  EXPECT_EQ(run(r).body, "fir");
  r.server_vars.back() = {"IGNORED", ""};
  Request second = request("echo gettype($GLOBALS['kept']), ' ', file_get_contents('php://input');");
  second.method = "POST";
  second.content_type = "text/plain";
  second.body = "second";
  EXPECT_EQ(run(second).body, "resource (closed) second");
}

TEST_F(HttpWorkers, ShutdownFunctionsBelongToTheirRequest) {
  const std::string out = directory_ + "/shutdown";
  serve("register_shutdown_function(function () { file_put_contents('" + out + "', 'script'); });");
  EXPECT_EQ(body("register_shutdown_function(function () { echo ' one'; register_shutdown_function(function () {"
                 " echo ' two'; }); }); echo 'body';"),
            "body one two");
  EXPECT_EQ(body("echo 'next';"), "next");
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_EQ(body("register_shutdown_function(fn () => print('kept')); exit;"), "kept");
  EXPECT_EQ(content(out), "script");
  // One that throws, one that exits.
  EXPECT_EQ(ask("register_shutdown_function(fn () => throw new Exception('in shutdown'));").status, 500);
  logged("Uncaught Exception: in shutdown");
  const Response first = ask("echo 1;");
  EXPECT_EQ(body("register_shutdown_function(function () { echo 'a'; exit; }); register_shutdown_function(fn () => "
                 "print('b'));"),
            "a");
  EXPECT_NE(ask("echo 1;").header("X-Run"), first.header("X-Run"));
}

TEST_F(HttpWorkers, ExceptionInTheCallback) {
  serve("set_exception_handler(fn () => print('handler'));");
  const Response failed = ask("throw new DomainException('boom');");
  EXPECT_EQ(failed.status, 500);
  EXPECT_EQ(failed.body, "");
  const LogLine line = logged("Uncaught DomainException: boom");
  EXPECT_EQ(line.fields.at("worker"), "app");
  EXPECT_EQ(line.fields.at("url"), "/test.php?a=1&b=two");
  EXPECT_FALSE(line.fields.at("file").empty());
  const Response next = ask("echo 'ok';");
  EXPECT_EQ(next.body, "ok");
  EXPECT_EQ(next.status, 200);
  EXPECT_EQ(next.header("X-Run"), failed.header("X-Run"));
}

TEST_F(HttpWorkers, ExitStartsTheScriptAfresh) {
  serve();
  const Response first = ask("echo 'half'; exit(3);");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, "half");
  const Response second = ask("echo 'again';");
  EXPECT_EQ(second.body, "again");
  EXPECT_EQ(second.header("X-N"), "1");
  EXPECT_NE(second.header("X-Run"), first.header("X-Run"));
}

TEST_F(HttpWorkers, FatalErrorMemoryLimitAndTimeLimit) {
  serve();
  for (const char* code : {"function twice() {} eval('function twice() {}');", "$x = str_repeat('x', 1 << 30);",
                           "set_time_limit(1); for (;;) {}"}) {
    if (!memory_limit_works() && std::string(code).find("1 << 30") != std::string::npos) continue;
    const Response failed = ask(code);
    EXPECT_EQ(failed.status, 500) << code;
    const Response next = ask("echo 'fine';");
    EXPECT_EQ(next.body, "fine") << code;
    EXPECT_EQ(next.status, 200) << code;
    EXPECT_EQ(next.header("X-N"), "1") << code;
  }
  // At once, although the run has failed: the next requests wait for it.
  const LogLine line = logged([](const LogLine& one) { return one.fields.count("restart_in_ms") != 0; });
  EXPECT_EQ(line.fields.at("restart_in_ms"), "0");
}

TEST_F(HttpWorkers, MaxExecutionTimeIsCountedPerRequest) {
  // The boot alone takes longer than the limit; then three requests together do, and at last one.
  serve("for ($t = hrtime(true); hrtime(true) - $t < 1.2e9;);", {}, "max_execution_time=1\n");
  const std::string busy = "for ($t = hrtime(true); hrtime(true) - $t < 4e8;); echo 'done';";
  const Response first = ask(busy);
  EXPECT_EQ(first.body, "done");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(busy).header("X-Run"), first.header("X-Run"));
  EXPECT_EQ(ask("for (;;) {}").status, 500);
}

TEST_F(HttpWorkers, OutputOutsideOfRequestsIsLogged) {
  serve("echo \"boot says\\n\"; header('X-Boot: 1'); ob_start(); echo 'buffered';");
  logged("boot says");
  logged("buffered");
  const Response first = ask("echo 'response';");
  EXPECT_EQ(first.body, "response");
  EXPECT_EQ(first.header("X-Boot"), "");
}

TEST_F(HttpWorkers, EarlyFinish) {
  serve();
  const std::string out = directory_ + "/late";
  const Response first =
      ask("echo 'sent'; var_dump(frankenphp_finish_request()); echo 'lost'; flush(); header('X-Late: 1');"
          " file_put_contents('" +
          out + "', 'ran');");
  EXPECT_EQ(first.body, "sent");
  EXPECT_EQ(content(out), "ran");
  EXPECT_EQ(body("echo 'next'; flush();"), "next");
}

TEST_F(HttpWorkers, NestedCallIsRefused) {
  serve();
  EXPECT_EQ(
      body("try { frankenphp_handle_request(fn () => 1); } catch (RuntimeException $e) { echo $e->getMessage(); }"),
      "frankenphp_handle_request() called while a request is being handled; it must return first");
  EXPECT_EQ(body("echo 'fine';"), "fine");
}

TEST_F(HttpWorkers, OutsideOfAnHttpWorker) {
  serve();
  Request classic(script(
      "<?php try { frankenphp_handle_request(fn () => 1); } catch (RuntimeException $e) { echo $e->getMessage(); }"));
  EXPECT_EQ(run(classic).body, "frankenphp_handle_request() called while not in worker mode");
  EXPECT_EQ(body("try { frankenphp_worker_task_receive(); } catch (RuntimeException $e) { echo $e->getMessage(); }"),
            "frankenphp_worker_task_receive() can only be called in a background worker");
}

TEST_F(HttpWorkers, RecyclingByRequests) {
  serve("", [](igor_pool_options& options) { options.max_tasks = 3; });
  std::vector<std::string> runs;
  for (int i = 0; i < 7; ++i) {
    const Response response = ask("echo 'ok';");
    EXPECT_EQ(response.body, "ok");
    runs.push_back(response.header("X-Run"));
    EXPECT_EQ(response.header("X-N"), std::to_string(i % 3 + 1));
  }
  EXPECT_EQ(runs[0], runs[2]);
  EXPECT_NE(runs[2], runs[3]);
  logged("loop ended " + runs[0]);
}

TEST_F(HttpWorkers, RecyclingByMemory) {
  if (!memory_limit_works()) GTEST_SKIP() << "USE_ZEND_ALLOC=0: the engine does not count its memory";
  serve("", [](igor_pool_options& options) { options.max_memory = 16 << 20; });
  const Response small = ask("$x = str_repeat('x', 30 << 20); echo 'freed again';");
  EXPECT_EQ(ask("echo 1;").header("X-Run"), small.header("X-Run"));
  ask("$GLOBALS['kept'] = str_repeat('x', 30 << 20);");
  const Response after = ask("echo isset($GLOBALS['kept']) ? 'kept' : 'gone';");
  EXPECT_EQ(after.body, "gone");
  EXPECT_NE(after.header("X-Run"), small.header("X-Run"));
}

TEST_F(HttpWorkers, SettingsOfThePool) {
  const std::string ini = "precision=9\nmemory_limit = \"64M\"\nno_such.setting=1\nzend.max_allowed_stack_size=1\n";
  serve("", [&](igor_pool_options& options) { options.ini = str(ini); });
  EXPECT_EQ(body("echo ini_get('precision'), ' ', ini_get('memory_limit');"), "9 64M");
  EXPECT_EQ(body("ini_set('precision', 3); echo ini_get('precision');"), "3");
  EXPECT_EQ(body("echo ini_get('precision');"), "9");
  EXPECT_EQ(logged("no_such.setting is no setting of this PHP").fields.at("worker"), "app");
}

TEST_F(HttpWorkers, BrokenScriptIsRefusedWith503) {
  ASSERT_EQ(start(), IGOR_OK);
  up_ = true;
  serve_file(script("<?php exit(7);", "broken.php"), [](igor_pool_options& options) {
    options.max_consecutive_failures = 2;
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 60000;
  });
  EXPECT_EQ(igor_generation_start(generation_, text_, sizeof text_), IGOR_FAILED);
  EXPECT_THAT(std::string(text_), HasSubstr("app"));
  const Response refused = run(request("echo 1;"));
  EXPECT_TRUE(refused.refused);
  EXPECT_THAT(refused.body, HasSubstr("the worker failed twice in a row"));
  logged("HTTP requests refused: the worker failed twice in a row");
}

TEST_F(HttpWorkers, RequestsWaitForAFreshScript) {
  serve();
  std::vector<std::thread> clients;
  std::atomic<int> good{0}, bad{0};
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 20; ++i) {
        const std::string mark = std::to_string(c * 1000 + i);
        const Response response = ask(i % 5 == 4 ? "echo '" + mark + "'; exit;" : "echo '" + mark + "';");
        (response.status == 200 && response.body == mark ? good : bad)++;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(good, 160);
  EXPECT_EQ(bad, 0);
}

// Clients that ask without pause while `meanwhile` runs. Each request takes the pool's handle of that moment.
struct Load {
  std::atomic<int> good{0}, bad{0};
  std::atomic<bool> stop{false};
};

TEST_F(HttpWorkers, RestartAndReloadUnderLoadLoseNothing) {
  const auto two = [](igor_pool_options& options) { options.num = 2; };
  serve("", two);
  std::atomic<igor_handle> pool{pool_};
  Load load;
  std::mutex mutex;
  std::map<std::string, int> runs;
  std::vector<std::thread> clients;
  for (int c = 0; c < 6; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; !load.stop; ++i) {
        const std::string mark = std::to_string(c) + "-" + std::to_string(i);
        Request one = request("usleep(500); echo '" + mark + "';");
        one.worker = pool;
        const Response response = run(one);
        if (response.started == IGOR_GONE) continue;  // closed since: asks the next generation
        (response.status == 200 && response.body == mark ? load.good : load.bad)++;
        std::lock_guard lock(mutex);
        ++runs[response.header("X-Run")];
      }
    });
  }
  const auto served = [&](int more) {
    const int until = load.good + more;
    while (load.good < until && load.bad == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  for (int i = 0; i < 3; ++i) {
    served(30);
    EXPECT_EQ(igor_pool_control(pool_, IGOR_POOL_RESTART, text_, sizeof text_), IGOR_OK) << text_;
  }
  for (int i = 0; i < 3; ++i) {
    served(30);
    igor_handle next = 0, scope = 0, changed = 0;
    ASSERT_EQ(igor_generation_open(generation_, &next, text_, sizeof text_), IGOR_OK) << text_;
    ASSERT_EQ(igor_scope_open(next, str("test"), 0, &scope, text_, sizeof text_), IGOR_OK) << text_;
    const std::string env = pack({{"GENERATION", std::to_string(i)}});
    igor_pool_options options{};
    options.size = sizeof options;
    options.name = str("app");
    options.file = str(file_);
    options.kind = IGOR_POOL_REQUESTS;
    options.stop_grace_ms = 2000;
    options.env = str(env);
    two(options);
    ASSERT_EQ(igor_pool_add(scope, &options, &changed, text_, sizeof text_), IGOR_OK) << text_;
    ASSERT_EQ(igor_generation_start(next, text_, sizeof text_), IGOR_OK) << text_;
    pool = changed;
    EXPECT_EQ(igor_generation_close(generation_), IGOR_OK);
    generation_ = next;
    pool_ = changed;
  }
  served(30);
  load.stop = true;
  for (auto& client : clients) client.join();
  EXPECT_EQ(load.bad, 0);
  EXPECT_GE(runs.size(), 14u) << "two workers in each of seven lives";
}

TEST_F(HttpWorkers, LargeBodiesAndOutputAreStreamed) {
  serve();
  Request echo = request("$in = fopen('php://input', 'r'); while (!feof($in)) { echo fread($in, 8192); }");
  echo.method = "PUT";
  echo.chunked = true;
  echo.content_type = "application/octet-stream";
  for (int i = 0; i < 200000; ++i) echo.body += "line " + std::to_string(i);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(run(echo).body == echo.body);
    EXPECT_EQ(body("echo strlen(file_get_contents('php://input'));"), "0");
  }
  const Response flushed = ask("echo 'a'; flush(); echo 'b'; flush();");
  EXPECT_EQ(flushed.body, "ab");
  EXPECT_GE(flushed.flushes, 1);
}

TEST_F(HttpWorkers, AClientThatLeavesDisturbsNobodyElse) {
  serve();
  const std::string out = directory_ + "/left";
  Request leaves = request(
      "do { echo str_repeat('x', 1000); flush(); usleep(100); } while "
      "(!connection_aborted()); file_put_contents('" +
      out + "', 'seen');");
  leaves.on_event = [](igor_handle handle, const igor_event&) { return igor_request_abort(handle) != IGOR_OK; };
  run(leaves);
  EXPECT_EQ(content(out), "seen");
  EXPECT_EQ(body("echo connection_status(), connection_aborted(), ignore_user_abort();"), "001");
  // Who does not want that is ended, as anywhere; a new script serves the next.
  leaves = request("ignore_user_abort(false); for (;;) { echo str_repeat('x', 1000); flush(); usleep(100); }");
  leaves.on_event = [](igor_handle handle, const igor_event&) { return igor_request_abort(handle) != IGOR_OK; };
  run(leaves);
  EXPECT_EQ(ask("echo 'fine';").body, "fine");
}

TEST_F(HttpWorkers, MaxWait) {
  serve("", {}, "", 50);
  std::thread slow([&] {
    EXPECT_EQ(body("touch('" + directory_ + "/runs'); while (!file_exists('" + directory_ +
                   "/go')) { usleep(1000); clearstatcache(); } echo 'slow';"),
              "slow");
  });
  while (!std::filesystem::exists(directory_ + "/runs")) std::this_thread::yield();
  const Response waited = ask("echo 1;");
  EXPECT_TRUE(waited.refused);
  EXPECT_EQ(waited.body, "");  // no reason but the time
  std::ofstream(directory_ + "/go") << "1";
  slow.join();
  EXPECT_EQ(body("echo 'fast';"), "fast");
}

TEST_F(HttpWorkers, AnInterruptedRequestGets500) {
  serve("", [](igor_pool_options& options) { options.stop_grace_ms = 50; });
  Response response;
  std::thread client([&] { response = ask("touch('" + directory_ + "/runs'); for (;;) { usleep(1000); }"); });
  while (!std::filesystem::exists(directory_ + "/runs")) std::this_thread::yield();
  EXPECT_EQ(igor_generation_close(generation_), IGOR_OK);
  generation_ = 0;
  client.join();
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(run(request("echo 1;")).started, IGOR_GONE);
}

// sem_acquire() goes on waiting whatever signal comes.
TEST_F(HttpWorkers, AWorkerThatCannotBeEndedIsReplacedAndItsClientAnswered) {
  serve("", [](igor_pool_options& options) { options.stop_grace_ms = 20; });
  const std::string semaphore = "$s = sem_get(ftok('" + file_ + "', 'a'), 1, 0600, false);";
  const Response before = ask("echo 'ok';");
  Response response;
  std::thread client(
      [&] { response = ask(semaphore + "sem_acquire($s); touch('" + directory_ + "/runs'); sem_acquire($s);"); });
  while (!std::filesystem::exists(directory_ + "/runs")) std::this_thread::yield();
  ASSERT_EQ(igor_worker_restart(pool_, 0, text_, sizeof text_), IGOR_OK) << text_;
  const Response other = ask("echo 'served';");
  EXPECT_EQ(other.body, "served");
  EXPECT_NE(other.header("X-Run"), before.header("X-Run"));
  client.join();
  EXPECT_EQ(response.status, 500);
  EXPECT_NE(report().find("\"lost\""), std::string::npos);
  // Lets the thread that was left behind come to its end: then nothing is left behind any more.
  body(semaphore + "sem_remove($s);");
  while (report().find("\"lost\"") != std::string::npos) std::this_thread::yield();
  EXPECT_EQ(igor_generation_close(generation_), IGOR_OK);
  generation_ = 0;
}

TEST_F(HttpWorkers, WorkersAreAddedAndEndAgain) {
  serve("", [](igor_pool_options& options) { options.max_threads = 4; }, "", 0, 2, 50);
  // Requests that wait for each other: only with three workers at a time can they end.
  const std::string meet = "$d = '" + directory_ +
                           "/'; touch($d . $_SERVER['ME']); "
                           "while (count(glob($d . 'meet*')) < 3) { usleep(1000); } echo 'met';";
  std::vector<std::thread> clients;
  std::atomic<int> met{0};
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&, i] {
      Request r = request(meet);
      r.server_vars.emplace_back("ME", "meet" + std::to_string(i));
      met += run(r).body == "met";
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(met, 3);
  logged("requests wait: one HTTP worker more");
  logged("loop ended");
}

}  // namespace
}  // namespace igor::testing
