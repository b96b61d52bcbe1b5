--TEST--
Tasks held at the same time end each in its own way: completed, let go, cancelled, and the rest by the crash
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,backoff_min_ms=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
const HOLD = 'frankenphp_worker_task_update($stream, ["held" => true]); $GLOBALS["held"][$payload["n"]] = $stream;';
$tasks = [];
for ($n = 0; $n < 5; ++$n) {
    $tasks[$n] = start(HOLD, ['n' => $n]);
    frankenphp_worker_task_read($tasks[$n]);
}
fclose($tasks[2]);
unset($tasks[2]);
echo json_encode(ask('$seen = array_map(feof(...), $GLOBALS["held"]); fclose($GLOBALS["held"][0]); unset($GLOBALS["held"][1]); reply($stream, $seen);')), "\n";
$last = start('throw new DomainException("with three in hand");');
foreach ($tasks as $n => $task) {
    echo $n, ': ', outcome($task), "\n";
}
echo 'last: ', outcome($last), "\n";
?>
--EXPECT--
[false,false,true,false,false]
0: completed
1: Abandoned
3: UncaughtException
4: UncaughtException
last: UncaughtException
