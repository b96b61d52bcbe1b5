--TEST--
A task cancelled before it is picked up is never delivered
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1,queue=8
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$file = __DIR__ . '/before_pickup.txt';
$busy = frankenphp_worker_task_send('tool', ['do' => 'sleep', 'seconds' => 0.3]);
$never = frankenphp_worker_task_send('tool', ['do' => 'flood', 'file' => $file]);
fclose($never);
$after = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => 'after']);
echo json_encode(frankenphp_worker_task_read($busy)), "\n";
echo json_encode(frankenphp_worker_task_read($after)), "\n";
var_dump(is_file($file));
?>
--CLEAN--
<?php @unlink(__DIR__ . '/before_pickup.txt'); ?>
--EXPECT--
{"slept":0.3}
{"echo":"after"}
bool(false)
