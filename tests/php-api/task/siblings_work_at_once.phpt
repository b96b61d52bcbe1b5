--TEST--
Two tasks of a pool with two workers run at the same time
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=2
--FILE--
<?php
$begin = hrtime(true);
$first = frankenphp_worker_task_send('tool', ['do' => 'sleep', 'seconds' => 0.5]);
$second = frankenphp_worker_task_send('tool', ['do' => 'sleep', 'seconds' => 0.5]);
echo json_encode(frankenphp_worker_task_read($first)), json_encode(frankenphp_worker_task_read($second)), "\n";
$took = (hrtime(true) - $begin) / 1e9;
echo $took < 0.9 ? 'at once' : "one after the other: $took s";
?>
--EXPECT--
{"slept":0.5}{"slept":0.5}
at once
