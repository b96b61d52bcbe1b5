--TEST--
A lazy pool grows to max_threads while senders find nobody waiting, and not beyond
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,max_threads=3
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$busy = [];
for ($i = 0; $i < 3; ++$i) {
    $task = start('frankenphp_worker_task_update($stream, ["me" => $GLOBALS["me"]]); wait_for_cancel($stream);');
    $busy[frankenphp_worker_task_read($task)['me']] = $task;
}
echo count($busy), " workers\n";
attempt('a fourth', fn() => start('', timeout: 0.05));
fclose(array_shift($busy));
echo isset($busy[ask('reply($stream, $GLOBALS["me"]);')]) ? "a busy one\n" : "the free one\n";
?>
--EXPECT--
3 workers
a fourth: RuntimeException: timeout waiting for background worker "eval" to accept task
the free one
