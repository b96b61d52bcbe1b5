--TEST--
While the only worker is busy and the queue has no place, sending ends with the timeout, not before it and not long after
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$busy = frankenphp_worker_task_send('tool', ['do' => 'sleep', 'seconds' => 1.5]);
// The worker claims the first task and then is not waiting any more.
usleep(200_000);
$begin = hrtime(true);
show('tool', ['do' => 'nothing'], 0.3);
$took = (hrtime(true) - $begin) / 1e9;
echo $took >= 0.3 && $took < 1.0 ? 'in time' : "after $took s", "\n";
echo json_encode(frankenphp_worker_task_read($busy)), "\n";
show('tool', ['do' => 'echo', 'value' => 'free again']);
?>
--EXPECT--
RuntimeException: timeout waiting for background worker "tool" to accept task
in time
{"slept":1.5}
update {"echo":"free again"}
completed
