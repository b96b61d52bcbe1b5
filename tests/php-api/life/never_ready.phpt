--TEST--
A worker that never asks for a signal: sending ends with the timeout, and the process ends all the same
--ENV--
IGOR_WORKERS=deaf=../workers/never_asks.php,stop_grace_ms=100
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
for ($i = 0; $i < 2; ++$i) {
    $begin = hrtime(true);
    attempt('send', fn() => frankenphp_worker_task_send('deaf', [], 0.2));
    $took = (hrtime(true) - $begin) / 1e9;
    echo $took >= 0.2 && $took < 2 ? "in time\n" : "after $took s\n";
}
attempt('send with no time', fn() => frankenphp_worker_task_send('deaf', [], 0));
?>
--EXPECT--
send: RuntimeException: timeout waiting for background worker "deaf" to accept task
in time
send: RuntimeException: timeout waiting for background worker "deaf" to accept task
in time
send with no time: RuntimeException: timeout waiting for background worker "deaf" to accept task
