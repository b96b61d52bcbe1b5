--TEST--
A worker sends to another, streams the answers on, and to itself: which nobody can accept
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,backoff_min_ms=1;other=../workers/eval.php,num=1,backoff_min_ms=1;pair=../workers/eval.php,num=2
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
const RELAY = <<<'PHP'
    $task = frankenphp_worker_task_send('other', ['run' => $payload['code']]);
    while (($update = frankenphp_worker_task_read($task)) !== null) {
        frankenphp_worker_task_update($stream, ['relayed' => $update]);
    }
    fclose($task);
    fclose($stream);
    PHP;
$task = start(RELAY, ['code' => 'for ($i = 0; $i < 40; ++$i) { frankenphp_worker_task_update($stream, ["i" => $i]); } fclose($stream);']);
$sum = 0;
while (($update = frankenphp_worker_task_read($task)) !== null) {
    $sum += $update['relayed']['i'];
}
var_dump($sum === array_sum(range(0, 39)));
// A failure two workers away: the one between dies of it, and says so.
$task = start(RELAY, ['code' => 'throw new DomainException("far away");']);
try {
    frankenphp_worker_task_read($task);
} catch (RuntimeException $e) {
    describe($e);
}
// Cancelled from here: the worker between sees it, lets go, and the far one sees it too.
$task = start(<<<'PHP'
    $task = frankenphp_worker_task_send('other', ['run' => 'frankenphp_worker_task_update($stream, []); wait_for_cancel($stream); $GLOBALS["cancelled"] = true;']);
    frankenphp_worker_task_read($task);
    frankenphp_worker_task_update($stream, ['both' => 'at work']);
    wait_for_cancel($stream);
    unset($task);
    PHP);
echo json_encode(frankenphp_worker_task_read($task)), "\n";
fclose($task);
var_dump(ask('reply($stream, $GLOBALS["cancelled"]);', worker: 'other'));
// Alone in its pool it can't serve itself; with a sibling it can.
const SELF = <<<'PHP'
    try {
        $task = frankenphp_worker_task_send($payload['to'], ['run' => 'reply($stream, "from a sibling");'], 0.05);
        reply($stream, frankenphp_worker_task_read($task)['reply']);
    } catch (RuntimeException $e) {
        reply($stream, $e->getMessage());
    }
    PHP;
var_dump(ask(SELF, ['to' => 'eval']), ask(SELF, ['to' => 'pair'], 'pair'));
?>
--EXPECTF--
bool(true)
RuntimeException: background worker exited without completing the task
  because UncaughtException: RuntimeException background worker exited without completing the task in eval.php(%d) : eval()'d code
{"both":"at work"}
bool(true)
string(59) "timeout waiting for background worker "eval" to accept task"
string(14) "from a sibling"
