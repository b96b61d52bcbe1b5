--TEST--
Closing a stream whose task has ended is quiet, and so is letting go of one
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$task = frankenphp_worker_task_send('tool', ['do' => 'nothing']);
var_dump(frankenphp_worker_task_read($task), fclose($task));
$task = frankenphp_worker_task_send('tool', ['do' => 'nothing']);
unset($task);
show('tool', ['do' => 'echo', 'value' => 'next']);
?>
--EXPECT--
NULL
bool(true)
update {"echo":"next"}
completed
