--TEST--
One worker's crash leaves its sibling's task alone
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=2
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$long = frankenphp_worker_task_send('tool', ['do' => 'sleep', 'seconds' => 0.4]);
show('tool', ['do' => 'throw']);
echo json_encode(frankenphp_worker_task_read($long)), json_encode(frankenphp_worker_task_read($long)), "\n";
?>
--EXPECT--
RuntimeException: background worker exited without completing the task
  because UncaughtException: DomainException the worker threw in tool.php
{"slept":0.4}null
