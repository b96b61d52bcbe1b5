--TEST--
An open breaker refuses at once and says why, lets one start through after a while, and closes when that works
--ENV--
IGOR_WORKERS=shy=../workers/starts_when_allowed.php,env.ALLOWED={PWD}/breaker_closes_again.txt,max_consecutive_failures=2,backoff_min_ms=1,backoff_max_ms=50
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$file = __DIR__ . '/breaker_closes_again.txt';
// The first start fails while the sender waits; so does the second, and then the breaker is open.
attempt('first', fn() => frankenphp_worker_task_send('shy', []));
$until = hrtime(true) + 10e9;
do {
    try {
        frankenphp_worker_task_send('shy', []);
        echo "accepted too early\n";
    } catch (RuntimeException $e) {
    }
} while (!str_contains($e->getMessage(), 'is not started for now') && hrtime(true) < $until);
echo preg_replace('/twice|\d+ times/', 'N times', $e->getMessage()), "\n  ", $e->getPrevious()->getErrorMessage(), "\n";
file_put_contents($file, 'now');
do {
    try {
        $task = frankenphp_worker_task_send('shy', []);
        echo json_encode(frankenphp_worker_task_read($task)), "\n";
        break;
    } catch (RuntimeException $e) {
        usleep(1000); // refused at once: not to spin
    }
} while (hrtime(true) < $until);
show('shy', []);
?>
--CLEAN--
<?php @unlink(__DIR__ . '/breaker_closes_again.txt'); ?>
--EXPECT--
first: RuntimeException: background worker exited without completing the task
  because UncaughtException: DomainException not allowed to start in starts_when_allowed.php
background worker "shy" failed N times in a row and is not started for now (max_consecutive_failures)
  not allowed to start
{"started":true}
update {"started":true}
completed
