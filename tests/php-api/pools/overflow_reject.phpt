--TEST--
overflow=reject: a full pool refuses at once with Igor\Overflow, whatever the timeout, and works again when it has a place
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,queue=1,overflow=reject
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$busy = start('frankenphp_worker_task_update($stream, []); wait_for_cancel($stream);');
frankenphp_worker_task_read($busy);
$queued = start('reply($stream, "queued");');
$begin = hrtime(true);
for ($i = 0; $i < 3; ++$i) {
    try {
        start('', timeout: 30);
    } catch (Igor\Overflow $e) {
        echo get_parent_class($e), ': ', $e->getMessage(), "\n";
    }
}
echo (hrtime(true) - $begin) / 1e9 < 5 ? "at once\n" : "late\n";
fclose($busy);
echo json_encode(frankenphp_worker_task_read($queued)), "\n";
echo outcome($queued), "\n";
echo ask('reply($stream, "a place again");'), "\n";
?>
--EXPECT--
RuntimeException: background worker "eval" is full (overflow reject)
RuntimeException: background worker "eval" is full (overflow reject)
RuntimeException: background worker "eval" is full (overflow reject)
at once
{"reply":"queued"}
completed
a place again
