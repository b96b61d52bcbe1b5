--TEST--
A pool's queue accepts as many tasks as it has places while all workers are busy; they are done in order
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=2,queue=3
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$busy = [];
for ($i = 0; $i < 2; ++$i) {
    $busy[$i] = start('frankenphp_worker_task_update($stream, []); wait_for_cancel($stream);');
    frankenphp_worker_task_read($busy[$i]);
}
$file = tempnam(sys_get_temp_dir(), 'igor');
$tasks = [];
for ($i = 0; $i < 3; ++$i) {
    $tasks[$i] = start('file_put_contents($payload["file"], $payload["n"] . " ", FILE_APPEND); fclose($stream);', ['n' => $i, 'file' => $file], timeout: 0);
}
attempt('one too many, at once', fn() => start('', timeout: 0));
$begin = hrtime(true);
attempt('one too many, later', fn() => start('', timeout: 0.1));
echo hrtime(true) - $begin >= 100e6 ? "not before its time\n" : "too early\n";
fclose($busy[0]);
foreach ($tasks as $task) {
    echo outcome($task), "\n";
}
fclose($busy[1]);
echo file_get_contents($file), "\n";
unlink($file);
?>
--EXPECT--
one too many, at once: RuntimeException: timeout waiting for background worker "eval" to accept task
one too many, later: RuntimeException: timeout waiting for background worker "eval" to accept task
not before its time
completed
completed
completed
0 1 2 
