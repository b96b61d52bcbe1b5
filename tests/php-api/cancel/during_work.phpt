--TEST--
The sender closes its stream during work: the worker sees end-of-file, its update is refused, the next task works
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$file = __DIR__ . '/during_work.txt';
$task = frankenphp_worker_task_send('tool', ['do' => 'until closed', 'file' => $file]);
echo json_encode(frankenphp_worker_task_read($task)), "\n";
fclose($task);
$next = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => 'next']);
show_file($file);
echo json_encode(frankenphp_worker_task_read($next)), "\n";
?>
--CLEAN--
<?php @unlink(__DIR__ . '/during_work.txt'); ?>
--EXPECT--
{"started":true}
eof, task closed
{"echo":"next"}
