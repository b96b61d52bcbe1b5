--TEST--
Updates sent before a crash are all delivered before the sender learns of it, each time it asks
--ENV--
IGOR_WORKERS=crasher=../workers/crasher.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$task = frankenphp_worker_task_send('crasher', []);
for ($i = 0; $i < 5; ++$i) {
    try {
        echo json_encode(frankenphp_worker_task_read($task)), "\n";
    } catch (RuntimeException $e) {
        describe($e);
    }
}
?>
--EXPECT--
{"n":1}
{"n":2}
{"n":3}
RuntimeException: background worker exited without completing the task
  because UncaughtException: DomainException after three in crasher.php
RuntimeException: background worker exited without completing the task
  because UncaughtException: DomainException after three in crasher.php
