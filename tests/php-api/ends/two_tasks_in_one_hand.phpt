--TEST--
A worker that holds two tasks, completes one and dies: only the other one fails
--ENV--
IGOR_WORKERS=pair=../workers/pair.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$first = frankenphp_worker_task_send('pair', ['who' => 'first']);
$second = frankenphp_worker_task_send('pair', ['who' => 'second']);
foreach ([$second, $first] as $task) {
    try {
        while (($update = frankenphp_worker_task_read($task)) !== null) {
            echo json_encode($update), "\n";
        }
        echo "completed\n";
    } catch (RuntimeException $e) {
        describe($e);
    }
}
?>
--EXPECT--
{"got":"second"}
RuntimeException: background worker exited without completing the task
  because Exited with status 3
{"got":"first"}
completed
