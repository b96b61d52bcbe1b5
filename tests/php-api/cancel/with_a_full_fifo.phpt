--TEST--
The sender closes its stream while the worker waits for a place in the FIFO: the wait ends
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$file = __DIR__ . '/with_a_full_fifo.txt';
$task = frankenphp_worker_task_send('tool', ['do' => 'flood', 'file' => $file]);
usleep(100_000);
fclose($task);
show_file($file);
show('tool', ['do' => 'echo', 'value' => 'next']);
?>
--CLEAN--
<?php @unlink(__DIR__ . '/with_a_full_fifo.txt'); ?>
--EXPECT--
task closed
update {"echo":"next"}
completed
