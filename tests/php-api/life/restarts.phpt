--TEST--
A worker that ends after its task is started again, with nothing left of the run before; queued tasks wait for it
--ENV--
IGOR_WORKERS=once=../workers/one_task.php,num=1,queue=8,backoff_min_ms=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$ends = ['return', 'exit 0', 'exit 1', 'throw', 'return', 'throw', 'exit 1', 'exit 0'];
foreach ($ends as $end) {
    $tasks[] = frankenphp_worker_task_send('once', ['end' => $end]);
}
foreach ($tasks as $i => $task) {
    echo $ends[$i], ': ', json_encode(frankenphp_worker_task_read($task)), ' ', outcome($task), "\n";
}
// A run that ends cleanly is followed by the next one at once, without backoff.
$begin = hrtime(true);
for ($i = 0; $i < 50; ++$i) {
    outcome(frankenphp_worker_task_send('once', ['end' => 'return']));
}
echo (hrtime(true) - $begin) / 1e9 < 4 ? "at once\n" : "late\n";
?>
--EXPECT--
return: {"run":1} completed
exit 0: {"run":1} completed
exit 1: {"run":1} completed
throw: {"run":1} completed
return: {"run":1} completed
throw: {"run":1} completed
exit 1: {"run":1} completed
exit 0: {"run":1} completed
at once
