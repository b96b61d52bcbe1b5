--TEST--
A task sends far more updates than its FIFO holds: the worker waits, none is lost
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
$task = frankenphp_worker_task_send('tool', ['do' => 'count', 'to' => 5000]);
$seen = 0;
while (($update = frankenphp_worker_task_read($task)) !== null) {
    if ($update['n'] !== ++$seen) {
        exit("update {$update['n']} came at place $seen");
    }
}
echo $seen;
?>
--EXPECT--
5000
