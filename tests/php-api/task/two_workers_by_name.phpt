--TEST--
Names lead to their own workers
--ENV--
IGOR_WORKERS=first=../workers/tool.php,num=1;second=../workers/tool.php,num=1
--FILE--
<?php
foreach (['second', 'first', 'second'] as $name) {
    $task = frankenphp_worker_task_send($name, ['do' => 'about']);
    echo frankenphp_worker_task_read($task)['name'], "\n";
}
?>
--EXPECT--
second
first
second
