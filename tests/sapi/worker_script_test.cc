// How a background worker's script starts and ends, seen from the pool's side: a host whose only slot runs one
// script, with what the slot was told and what was logged.
#include <gmock/gmock.h>

#include "module/pool.h"
#include "module/worker_slot.h"
#include "sapi/engine.h"
#include "sapi/php_thread.h"
#include "sapi/worker_script.h"
#include "tests/sapi/http_host.h"

namespace igor::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Runs a script once, as a pool would, on a thread of its own.
class WorkerScript : public HttpHost {
 protected:
  RunOutcome run_file(const std::string& file,
                      const std::function<void(sapi::PhpWorkerHost&, WorkerSlot&)>& meanwhile = {}, int runs = 1) {
    PoolOptions options;
    options.name = "thumbs";
    options.file = file;
    options.env = {{"WORKER_SETTING", "on"}};
    const std::shared_ptr<Pool> pool = Pool::create(options, host_);
    WorkerSlot slot(*pool, 0);
    RunOutcome outcome;
    std::atomic<bool> entered{false};
    OsThread thread;
    EXPECT_EQ(thread.start("worker",
                           [&] {
                             std::string error;
                             ASSERT_TRUE(host_.enter(slot, error)) << error;
                             entered = true;
                             for (int i = 0; i < runs; ++i) outcome = host_.run(slot);
                             host_.leave(slot);
                           }),
              0);
    while (!entered) std::this_thread::yield();
    if (meanwhile) meanwhile(host_, slot);
    thread.join();
    return outcome;
  }
  RunOutcome run_code(const std::string& code) { return run_file(script(code)); }

  sapi::PhpWorkerHost host_;
};

TEST_F(WorkerScript, ReturnIsClean) {
  const RunOutcome outcome = run_code("<?php return;");
  EXPECT_TRUE(outcome.clean);
  EXPECT_EQ(outcome.failure.reason, Reason::Exited);
  EXPECT_EQ(outcome.failure.exit_status, 0);
}

TEST_F(WorkerScript, Environment) {
  const std::string out = directory_ + "/out";
  const std::string file =
      script("#!/usr/bin/env php\n<?php file_put_contents('" + out +
                 "', json_encode([$argv, $argc, "
                 "$_SERVER['argv'], $_SERVER['FRANKENPHP_WORKER_NAME'], "
                 "$_SERVER['FRANKENPHP_WORKER_BACKGROUND'], isset($_SERVER['FRANKENPHP_WORKER']), "
                 "getenv('WORKER_SETTING'), $_ENV['WORKER_SETTING'], $_SERVER['WORKER_SETTING'], "
                 "ini_get('max_execution_time'), getcwd(), __LINE__, ob_get_level()], JSON_UNESCAPED_SLASHES));",
             "env.php");
  EXPECT_TRUE(run_file(file).clean);
  const std::string arguments = "[\"" + directory_ + "/env.php\",\"thumbs\"]";
  EXPECT_EQ(content(out), "[" + arguments + ",2," + arguments + ",\"thumbs\",true,true,\"on\",\"on\",\"on\",\"0\",\"" +
                              directory_ + "\",2,0]");
}

TEST_F(WorkerScript, ExitStatus) {
  RunOutcome outcome = run_code("<?php exit(0);");
  EXPECT_TRUE(outcome.clean);
  outcome = run_code("<?php exit(3);");
  EXPECT_FALSE(outcome.clean);
  EXPECT_EQ(outcome.failure.reason, Reason::Exited);
  EXPECT_EQ(outcome.failure.exit_status, 3);
  EXPECT_TRUE(run_code("<?php exit('a message');").clean);
}

TEST_F(WorkerScript, UncaughtExceptionIsTakenApart) {
  const std::string file = script(
      "<?php\nclass Broken extends DomainException {}\n"
      "function deep($secret) { throw new Broken('it is: broken'); }\n"
      "deep('password');\n");
  const RunOutcome outcome = run_file(file);
  EXPECT_FALSE(outcome.clean);
  EXPECT_EQ(outcome.failure.reason, Reason::UncaughtException);
  EXPECT_EQ(outcome.failure.class_name, "Broken");
  EXPECT_EQ(outcome.failure.message, "it is: broken");
  EXPECT_EQ(outcome.failure.file, file);
  EXPECT_EQ(outcome.failure.line, 3u);
  EXPECT_EQ(outcome.failure.trace, "#0 " + file + "(4): deep()\n#1 {main}");
  EXPECT_EQ(outcome.failure.exit_status, 255);
  const LogLine line = logged("Uncaught Broken: it is: broken");
  EXPECT_EQ(line.level, IGOR_LOG_ERROR);
  EXPECT_EQ(line.fields.at("worker"), "thumbs");
  EXPECT_EQ(line.fields.at("line"), "3");
}

TEST_F(WorkerScript, ExceptionHandler) {
  EXPECT_TRUE(run_code("<?php set_exception_handler(function ($e) {}); throw new Exception('x');").clean);
  const RunOutcome outcome =
      run_code("<?php set_exception_handler(function ($e) { exit(4); }); throw new Exception('x');");
  EXPECT_EQ(outcome.failure.reason, Reason::UncaughtException);
  EXPECT_EQ(outcome.failure.message, "x");
  EXPECT_EQ(outcome.failure.exit_status, 4);
}

TEST_F(WorkerScript, FatalErrors) {
  RunOutcome outcome;
  if (memory_limit_works()) {
    outcome = run_code("<?php\nini_set('memory_limit', '8M');\nstr_repeat('x', 100 << 20);");
    EXPECT_EQ(outcome.failure.reason, Reason::MemoryLimit);
    EXPECT_THAT(outcome.failure.message, StartsWith("Allowed memory size of 8388608 bytes exhausted"));
    EXPECT_EQ(outcome.failure.line, 3u);
  }
  outcome = run_code("<?php set_time_limit(1); while (true) {}");
  EXPECT_EQ(outcome.failure.reason, Reason::FatalError);
  EXPECT_THAT(outcome.failure.message, HasSubstr("Maximum execution time"));
  outcome = run_code("<?php class A { abstract function b(); }");
  EXPECT_EQ(outcome.failure.reason, Reason::FatalError);
  outcome = run_code("<?php function f($a) { return array_map('f', [$a]); } f(1);");
  EXPECT_EQ(outcome.failure.reason, Reason::FatalError);
  EXPECT_THAT(outcome.failure.message, StartsWith("Maximum call stack size"));
  outcome = run_code("<?php\nthis is no php");
  EXPECT_EQ(outcome.failure.reason, Reason::UncaughtException);
  EXPECT_EQ(outcome.failure.class_name, "ParseError");
  EXPECT_EQ(outcome.failure.line, 2u);
  outcome = run_code("<?php nothing();");
  EXPECT_EQ(outcome.failure.class_name, "Error");
  EXPECT_THAT(outcome.failure.message, HasSubstr("undefined function nothing()"));
}

TEST_F(WorkerScript, FailureInShutdownIsAFailure) {
  const RunOutcome outcome =
      run_code("<?php register_shutdown_function(function () { throw new Exception('late'); });");
  EXPECT_FALSE(outcome.clean);
  EXPECT_EQ(outcome.failure.reason, Reason::UncaughtException);
  EXPECT_EQ(outcome.failure.class_name, "Exception");
  EXPECT_THAT(outcome.failure.message, HasSubstr("late"));
}

TEST_F(WorkerScript, MissingUnreadableDirectory) {
  RunOutcome outcome = run_file(directory_ + "/none.php");
  EXPECT_EQ(outcome.failure.reason, Reason::FatalError);
  EXPECT_EQ(outcome.failure.message,
            "cannot open the worker's script " + directory_ + "/none.php: No such file or directory");
  outcome = run_file(directory_);
  EXPECT_THAT(outcome.failure.message, HasSubstr("Is a directory"));
}

TEST_F(WorkerScript, OutputIsLoggedByLine) {
  run_code("<?php echo \"one\\ntw\"; echo \"o\\r\\n\\nthree\"; flush(); echo 'four';");
  for (const char* text : {"one", "two", "three", "four"}) {
    const LogLine line = logged([&](const LogLine& one) { return one.message == text; });
    EXPECT_EQ(line.logger, "php");
    EXPECT_EQ(line.fields.at("worker"), "thumbs");
    EXPECT_EQ(line.fields.at("stream"), "output");
  }
}

TEST_F(WorkerScript, WarningsAreLoggedOnceAndNotPrinted) {
  run_code("<?php ini_set('display_errors', '0'); echo $nothing; echo 'end';");
  logged("end");
  EXPECT_EQ(logged("Undefined variable $nothing").level, IGOR_LOG_WARN);
}

TEST_F(WorkerScript, InterruptUnwinds) {
  const std::string mark = directory_ + "/mark";
  // Neither catch nor finally can hold it up; destructors and shutdown functions run.
  const std::string file = script("<?php class D { function __destruct() { file_put_contents('" + mark +
                                  "', 'd', FILE_APPEND); } }"
                                  "register_shutdown_function(fn() => file_put_contents('" +
                                  mark +
                                  "', 's', FILE_APPEND));"
                                  "file_put_contents('" +
                                  mark +
                                  "', '-');"
                                  "function f() { $d = new D; try { while (true) {} } catch (Throwable $e) { while "
                                  "(true) {} } finally { while (true) {} } }"
                                  "f();");
  const RunOutcome outcome = run_file(file, [&](sapi::PhpWorkerHost& host, WorkerSlot& slot) {
    content(mark);
    host.interrupt(slot);
  });
  EXPECT_EQ(outcome.failure.reason, Reason::Shutdown);
  EXPECT_FALSE(outcome.clean);
  EXPECT_EQ(content(mark), "-ds");
}

TEST_F(WorkerScript, InterruptAgainEndsDestructorsThatLoop) {
  const std::string mark = directory_ + "/mark";
  const std::string file = script(
      "<?php class D { function __destruct() { while (true) {} } }"
      "function f() { $d = new D; file_put_contents('" +
      mark + "', '-'); while (true) {} } f();");
  std::thread asker;
  const RunOutcome outcome = run_file(file, [&](sapi::PhpWorkerHost& host, WorkerSlot& slot) {
    content(mark);
    asker = std::thread([&] {
      while (slot.host_data.load() != nullptr) {
        host.interrupt(slot);
        std::this_thread::sleep_for(milliseconds(20));
      }
    });
    asker.join();
  });
  EXPECT_EQ(outcome.failure.reason, Reason::Shutdown);
}

TEST_F(WorkerScript, InterruptReachesSleep) {
  const std::string mark = directory_ + "/mark";
  const std::string file = script("<?php file_put_contents('" + mark + "', '-'); while (true) { sleep(60); }");
  const auto began = steady_clock::now();
  run_file(file, [&](sapi::PhpWorkerHost& host, WorkerSlot& slot) {
    content(mark);
    while (slot.host_data.load() != nullptr) {
      host.interrupt(slot);
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  EXPECT_LT(steady_clock::now() - began, milliseconds(2000));
}

TEST_F(WorkerScript, RunsDoNotLeakIntoEachOther) {
  const std::string out = directory_ + "/out";
  const std::string file = script(
      "<?php static $n = 0; $n++; class C { static $m = 0; } C::$m++; ini_set('precision', '3');"
      "file_put_contents('" +
      out + "', $n . C::$m . ' ', FILE_APPEND); if (filesize('" + out +
      "') > 8) throw new Exception('third'); exit(7);");
  EXPECT_EQ(run_file(file, {}, 3).failure.message, "third");
  EXPECT_EQ(content(out), "11 11 11 ");
}

TEST_F(WorkerScript, AThreadCanStartAfresh) {
  // What happens after a request shutdown that was cut short.
  OsThread thread;
  bool fresh = false;
  ASSERT_EQ(thread.start("recycled",
                         [&] {
                           sapi::PhpThread php(sapi::PhpThread::Kind::Worker, "recycled");
                           php.recycle();
                           php.request_interrupt();
                           fresh = sapi::PhpThread::current() == &php;
                         }),
            0);
  thread.join();
  EXPECT_TRUE(fresh);
}

}  // namespace
}  // namespace igor::testing
