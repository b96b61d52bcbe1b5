--TEST--
A timeout that is no length of time is refused; zero means not at all
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
foreach ([-1.0, -0.001, NAN, INF, -INF] as $timeout) {
    show('tool', ['do' => 'nothing'], $timeout);
}
?>
--EXPECTF--
ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) %s
ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) %s
ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) %s
ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) %s
ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) %s
