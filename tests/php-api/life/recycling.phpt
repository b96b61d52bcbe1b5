--TEST--
A worker starts afresh after max_tasks tasks, or when its script keeps more than max_memory; no task is lost
--ENV--
IGOR_WORKERS=two=../workers/eval.php,num=1,max_tasks=2;lean=../workers/eval.php,num=1,max_memory=8388608
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$count = 'reply($stream, $GLOBALS["n"] = ($GLOBALS["n"] ?? 0) + 1);';
$ask = function (string $worker, string $run): void {
    $task = frankenphp_worker_task_send($worker, ['run' => $run], 10.0);
    echo frankenphp_worker_task_read($task)['reply'], ' ';
    var_dump(frankenphp_worker_task_read($task));
};
for ($i = 0; $i < 5; ++$i) {
    $ask('two', $count);
}
echo "lean\n";
$ask('lean', $count);
$ask('lean', '$large = str_repeat("x", 16 << 20); ' . $count); // gone when the task is
$ask('lean', $count);
$ask('lean', '$GLOBALS["keeps"] = str_repeat("x", 16 << 20); ' . $count);
$ask('lean', $count);
?>
--EXPECT--
1 NULL
2 NULL
1 NULL
2 NULL
1 NULL
lean
1 NULL
2 NULL
3 NULL
4 NULL
1 NULL
