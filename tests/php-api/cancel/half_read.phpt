--TEST--
Closing a task whose updates are half read, finished or not, disturbs nobody
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
for ($round = 0; $round < 20; ++$round) {
    // Finished: 16 updates fit without a reader, and the next task is only begun after it.
    $task = start('for ($i = 0; $i < 16; ++$i) { frankenphp_worker_task_update($stream, ["i" => $i]); } fclose($stream);');
    ask('reply($stream, 1);');
    frankenphp_worker_task_read($task);
    fclose($task);
    // Not finished: the worker waits for places.
    $task = start(<<<'PHP'
        try {
            for ($i = 0; ; ++$i) {
                frankenphp_worker_task_update($stream, ["i" => $i]);
            }
        } catch (RuntimeException $e) {
            $GLOBALS['ended'][] = $e->getMessage();
        }
        PHP);
    for ($i = 0; $i < 20; ++$i) {
        $update = frankenphp_worker_task_read($task);
        $update['i'] === $i || exit("update {$update['i']} at place $i");
    }
    fclose($task);
}
echo json_encode(array_count_values(ask('reply($stream, $GLOBALS["ended"]);')));
?>
--EXPECT--
{"task closed":20}
