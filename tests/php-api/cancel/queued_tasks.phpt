--TEST--
Tasks cancelled in the queue free their places, and only the others are done, in order
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,queue=3
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
const NOTE = '$GLOBALS["done"][] = $payload["n"]; fclose($stream);';
$busy = start('frankenphp_worker_task_update($stream, ["started" => true]); wait_for_cancel($stream);');
frankenphp_worker_task_read($busy);
$queued = [];
foreach ([1, 2, 3] as $n) {
    $queued[$n] = start(NOTE, ['n' => $n], timeout: 0);
}
attempt('a fourth', fn() => start(NOTE, ['n' => 4], timeout: 0));
fclose($queued[2]);
$queued[5] = start(NOTE, ['n' => 5], timeout: 0);
fclose($queued[1]);
$queued[6] = start(NOTE, ['n' => 6], timeout: 0);
attempt('a seventh', fn() => start(NOTE, ['n' => 7], timeout: 0));
fclose($busy);
foreach ([3, 5, 6] as $n) {
    echo $n, ': ', outcome($queued[$n]), "\n";
}
echo json_encode(ask('reply($stream, $GLOBALS["done"]);')), "\n";
?>
--EXPECT--
a fourth: RuntimeException: timeout waiting for background worker "eval" to accept task
a seventh: RuntimeException: timeout waiting for background worker "eval" to accept task
3: completed
5: completed
6: completed
[3,5,6]
