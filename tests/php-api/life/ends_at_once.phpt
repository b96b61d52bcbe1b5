--TEST--
A worker that ends before it was ever ready: the sender is told at once, with the reason; then the breaker opens
--ENV--
IGOR_WORKERS=return=../workers/ends_at_once.php,env.END=return;exit=../workers/ends_at_once.php,env.END=exit 3;throw=../workers/ends_at_once.php,env.END=throw;fatal=../workers/ends_at_once.php,env.END=fatal;memory=../workers/ends_at_once.php,env.END=memory;broken=../workers/syntax_error.php;absent=../workers/absent.php;folder=../workers;open=../workers/ends_at_once.php,env.END=exit 3,max_consecutive_failures=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$begin = hrtime(true);
foreach (['return', 'exit', 'throw', 'fatal', 'memory', 'broken', 'absent', 'folder'] as $name) {
    try {
        frankenphp_worker_task_send($name, []);
    } catch (RuntimeException $e) {
        $cause = $e->getPrevious();
        echo $name, ': ', $e->getMessage(), "\n  ", $cause->getMessage(), "\n  ", $cause->getReason()->name, ' ', $cause->getExitStatus(), "\n";
    }
}
for ($i = 0; $i < 3; ++$i) {
    attempt('open', fn() => frankenphp_worker_task_send('open', []));
}
echo (hrtime(true) - $begin) / 1e9 < 20 ? "soon\n" : "late\n";
?>
--EXPECTF--
return: background worker exited without completing the task
  Exited: the script ended before it asked for its first task
  Exited 0
exit: background worker exited without completing the task
  Exited: the script ended with exit status 3
  Exited 3
throw: background worker exited without completing the task
  UncaughtException: DomainException: at once in %sends_at_once.php on line 9
  UncaughtException 255
fatal: background worker exited without completing the task
  FatalError: Class Broken contains 1 abstract method and must therefore be declared abstract or implement the remaining methods (Countable::count) in %sends_at_once.php(10) : eval()'d code on line 1
  FatalError 255
memory: background worker exited without completing the task
  MemoryLimit: Allowed memory size of 134217728 bytes exhausted%s(tried to allocate 1099511627808 bytes) in %sends_at_once.php on line 11
  MemoryLimit 255
broken: background worker exited without completing the task
  UncaughtException: ParseError: syntax error, unexpected identifier "is" in %ssyntax_error.php on line 3
  UncaughtException 255
absent: background worker exited without completing the task
  FatalError: cannot open the worker's script %sabsent.php: No such file or directory
  FatalError 255
folder: background worker exited without completing the task
  FatalError: cannot open the worker's script %sworkers: Is a directory
  FatalError 255
open: RuntimeException: background worker "open" failed once and is not started for now (max_consecutive_failures)
  because Exited with status 3
open: RuntimeException: background worker "open" failed once and is not started for now (max_consecutive_failures)
  because Exited with status 3
open: RuntimeException: background worker "open" failed once and is not started for now (max_consecutive_failures)
  because Exited with status 3
soon
