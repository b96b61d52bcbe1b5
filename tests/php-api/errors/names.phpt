--TEST--
Names that can't be a worker's: with a NUL byte, ten kilobytes long
--ENV--
IGOR_WORKERS=tool=../workers/tool.php
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show("to\0ol", []);
show(str_repeat('x', 10_000), []);
?>
--EXPECTF--
ValueError: frankenphp_worker_task_send(): Argument #1 ($name) %s
ValueError: frankenphp_worker_task_send(): Argument #1 ($name) %s
