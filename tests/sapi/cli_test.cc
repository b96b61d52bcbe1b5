// The command line, run in a child process that the test forks: its output, its exit status, its workers.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "caddy-plugin/bridge/igor.h"
#include "sapi/cli.h"

namespace igor::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

class Cli : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/igor-test-XXXXXX";
    directory_ = mkdtemp(pattern);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << text;
    return directory_ + "/" + name;
  }

  Ran run(std::vector<std::string> arguments, const std::string& input = "", const std::string& workers = "") {
    arguments.insert(arguments.begin(), "igor-php");
    const std::string in = file("stdin", input), out = directory_ + "/stdout", err = directory_ + "/stderr";
    const pid_t child = fork();
    if (child == 0) {
      dup2(open(in.c_str(), O_RDONLY), 0);
      dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
      dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
      if (!workers.empty()) setenv("IGOR_WORKERS", workers.c_str(), 1);
      alarm(60);
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      exit(igor_cli_main(static_cast<int>(arguments.size()), argv.data()));
    }
    int status = 0;
    waitpid(child, &status, 0);
    Ran ran;
    ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    ran.out = read(out);
    ran.err = read(err);
    return ran;
  }
  Ran code(const std::string& php) { return run({"-n", "-r", php}); }

  static std::string read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(stream)), {});
  }

  std::string directory_;
};

TEST_F(Cli, RunsCode) {
  const Ran ran = run({"-n", "-r", "echo PHP_SAPI, ' ', json_encode($argv), ' end'; exit(3);", "--", "-a", "b"});
  EXPECT_EQ(ran.out, "cli [\"Standard input code\",\"-a\",\"b\"] end");
  EXPECT_EQ(ran.status, 3);
  EXPECT_EQ(ran.err, "");
}

TEST_F(Cli, RunsAFile) {
  const std::string script = file("a.php",
                                  "#!/usr/bin/env php\n<?php echo __LINE__, ' ', json_encode([$argc, $argv[1], "
                                  "$_SERVER['SCRIPT_FILENAME'] === __FILE__, getcwd() === __DIR__]);");
  EXPECT_EQ(run({script, "x"}).out, "2 [2,\"x\",true,false]");
  EXPECT_EQ(run({"-f", script, "x"}).out, "2 [2,\"x\",true,false]");
  EXPECT_EQ(run({script, "-d", "-h"}).out, "2 [3,\"-d\",true,false]") << "options after the script are its own";
  const Ran none = run({directory_ + "/none.php"});
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.err, "Could not open input file: " + directory_ + "/none.php\n");
}

TEST_F(Cli, RunsStandardInput) {
  EXPECT_EQ(run({}, "<?php echo 'from stdin';").out, "from stdin");
  EXPECT_EQ(run({"--", "x"}, "<?php echo $argv[1];").out, "x");
}

TEST_F(Cli, StandardStreams) {
  const Ran ran = run({"-r", "fwrite(STDOUT, strtoupper(stream_get_contents(STDIN))); fwrite(STDERR, 'e');"}, "in");
  EXPECT_EQ(ran.out, "IN");
  EXPECT_EQ(ran.err, "e");
}

TEST_F(Cli, ErrorsAreDisplayedAsText) {
  const Ran ran = code("echo $nothing; throw new Exception('out');");
  EXPECT_THAT(ran.out, HasSubstr("\nWarning: Undefined variable $nothing in Command line code on line 1\n"));
  EXPECT_THAT(ran.out, HasSubstr("Fatal error: Uncaught Exception: out"));
  EXPECT_EQ(ran.status, 255);
}

TEST_F(Cli, IniOptions) {
  EXPECT_EQ(run({"-n", "-d", "precision=3", "-d", "error_prepend_string=\"a b;c\"", "-d", "short_open_tag", "-r",
                 "echo 1 / 3, ' ', ini_get('error_prepend_string'), ' ', ini_get('short_open_tag'), ' ', "
                 "ini_get('max_execution_time'), ini_get('html_errors'), php_ini_loaded_file() === false;"})
                .out,
            "0.333 a b;c 1 001");
  const std::string ini = file("my.ini", "precision=5\n");
  EXPECT_EQ(run({"-c", ini, "-r", "echo 1 / 3, php_ini_loaded_file();"}).out, "0.33333" + ini);
}

TEST_F(Cli, ProblemsOfTheStartAreShown) {
  EXPECT_THAT(run({"-n", "-d", "extension=no_such_extension", "-r", "echo 'alive';"}).out,
              ::testing::AllOf(HasSubstr("no_such_extension"), HasSubstr("alive")));
}

TEST_F(Cli, OtherModes) {
  EXPECT_THAT(run({"-v"}).out, StartsWith("PHP 8."));
  EXPECT_THAT(run({"-n", "-m"}).out, HasSubstr("\nigor\n"));
  EXPECT_THAT(run({"-n", "-i"}).out, HasSubstr("PHP Version => 8."));
  EXPECT_THAT(run({"-n", "--ri", "igor"}).out, HasSubstr("igor"));
  EXPECT_EQ(run({"-n", "--ri", "none"}).status, 1);
  EXPECT_THAT(run({"--ini"}).out, HasSubstr("Loaded Configuration File:"));
  const std::string good = file("good.php", "<?php /* c */ echo  1;"), bad = file("bad.php", "<?php this is no php");
  EXPECT_EQ(run({"-l", good}).out, "No syntax errors detected in " + good + "\n");
  EXPECT_EQ(run({"-l", bad}).status, 255);
  const Ran three = run({"-l", good, bad, directory_ + "/none.php", good});
  EXPECT_EQ(three.status, 1);
  EXPECT_THAT(three.out, HasSubstr("Errors parsing " + bad + "\nNo syntax errors detected in " + good));
  EXPECT_EQ(run({"-w", good}).out, "<?php  echo 1;");
  EXPECT_THAT(run({"-s", good}).out, HasSubstr("<span"));
  EXPECT_THAT(run({"-h"}).out, StartsWith("Usage: igor-php"));
  const Ran wrong = run({"-Z"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.err, HasSubstr("not offered here"));
}

TEST_F(Cli, ForkedChildEndsByItself) {
  const Ran ran = code(
      "$p = pcntl_fork(); if ($p === 0) { echo 'child '; exit(5); } pcntl_waitpid($p, $s); echo "
      "pcntl_wexitstatus($s);");
  EXPECT_EQ(ran.out, "child 5");
  EXPECT_EQ(ran.status, 0);
}

TEST_F(Cli, SignalsReachTheScript) {
  EXPECT_EQ(code("pcntl_async_signals(true); pcntl_signal(SIGUSR1, function () { echo 'signal'; });"
                 "posix_kill(getmypid(), SIGUSR1); usleep(1000); for ($i = 0; $i < 10; $i++);")
                .out,
            "signal");
}

TEST_F(Cli, DeepRecursionIsAnError) {
  EXPECT_THAT(code("function f($a) { return array_map('f', [$a]); } f(1);").out, HasSubstr("Maximum call stack size"));
}

TEST_F(Cli, WorkersInTheProcess) {
  file("worker.php",
       "<?php echo 'up ', getenv('FOO'), \"\\n\"; $s = frankenphp_worker_get_signaling_stream();"
       "while (($line = fgets($s)) !== \"stop\\n\") { while ($t = frankenphp_worker_task_receive()) {"
       "frankenphp_worker_task_update($t[0], ['twice' => $t[1]['n'] * 2]); fclose($t[0]); } }");
  const std::string script =
      file("main.php",
           "<?php $t = frankenphp_worker_task_send('double', ['n' => 21]);"
           "echo json_encode([frankenphp_worker_task_read($t), frankenphp_worker_task_read($t)]);");
  const Ran ran = run({script}, "", "double=worker.php,num=1,env.FOO=bar");
  EXPECT_EQ(ran.out, "[{\"twice\":42},null]");
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.err, HasSubstr("[php] up bar worker=double"));
  EXPECT_EQ(run({"--worker", "double=" + directory_ + "/worker.php", script}).out, "[{\"twice\":42},null]");
  setenv("IGOR_WORKER_LOG", "none", 1);
  EXPECT_EQ(run({script}, "", "double=worker.php").err, "");
  unsetenv("IGOR_WORKER_LOG");
}

TEST_F(Cli, WrongWorkersAreExplained) {
  const std::string script = file("main.php", "<?php echo 'not reached';");
  Ran ran = run({script}, "", "nonsense");
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("there is no '=' between name and file"));
  file("worker.php", "<?php");
  EXPECT_THAT(run({script}, "", "w=worker.php,num=many").err, HasSubstr("num is \"many\"; it must be a whole number"));
  EXPECT_THAT(run({script}, "", "w=worker.php,num=4,max_threads=2").err, HasSubstr("max_threads 2 is below num 4"));
  EXPECT_THAT(run({script}, "", "w=worker.php,max_consecutive_failures=0").err,
              HasSubstr("max_consecutive_failures is \"0\"; it must be a whole number, 1 or more (-1: never)"));
  EXPECT_THAT(run({script}, "", "w=worker.php,max_consecutive_failures=-2").err, HasSubstr("1 or more (-1: never)"));
  EXPECT_THAT(run({script}, "", "w=worker.php,queue=-1").err, HasSubstr("it must be a whole number, 0 or more"));
  EXPECT_THAT(run({script}, "", "w=worker.php,nom=1").err, HasSubstr("unknown option \"nom\""));
  EXPECT_THAT(run({script}, "", "w=worker.php,overflow=x").err, HasSubstr("it must be block or reject"));
  EXPECT_THAT(run({script}, "", "w=worker.php,num").err, HasSubstr("is not an option=value"));
  ran = run({script}, "", "w=none.php,num=1,max_consecutive_failures=1");
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("none.php"));
}

}  // namespace
}  // namespace igor::testing
