--TEST--
A pool's task_timeout: a task that takes longer fails with Deadline, running or still queued; the worker sees it and goes on
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,queue=1,task_timeout_ms=800
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$begin = hrtime(true);
$running = start(<<<'PHP'
    frankenphp_worker_task_update($stream, ['started' => true]);
    wait_for_cancel($stream);
    try {
        frankenphp_worker_task_update($stream, ['late' => true]);
    } catch (RuntimeException $e) {
        $GLOBALS['seen'] = [feof($stream), $e->getMessage()];
    }
    fclose($stream); // who goes on with what is over is interrupted
    // The one in the queue has as long as this one had, from a little later on: it must run out there.
    usleep(1_500_000);
    PHP);
frankenphp_worker_task_read($running);
$queued = start('$GLOBALS["ran"] = true;');
echo outcome($running), "\n";
$took = (hrtime(true) - $begin) / 1e6;
echo $took >= 790 ? "not before its time\n" : "after $took ms\n";
echo outcome($queued), "\n";
try {
    frankenphp_worker_task_read($running);
} catch (RuntimeException $e) {
    echo $e->getMessage(), ': ', $e->getPrevious()->getMessage(), "\n";
}
// Its sender's time may run out as well, as long as the worker is at its pause.
for ($i = 0; $i < 20; ++$i) {
    try {
        echo json_encode(ask('reply($stream, [$GLOBALS["seen"], $GLOBALS["ran"] ?? "never ran"]);')), "\n";
        break;
    } catch (RuntimeException) {
    }
}
?>
--EXPECT--
Deadline
not before its time
Deadline
background worker exited without completing the task: Deadline: the task's time ran out
[[true,"task closed"],"never ran"]
