--TEST--
While one worker of a pool is busy, the other one gets every task; a crash of one leaves the other's alone
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=2,backoff_min_ms=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
const WHO = 'reply($stream, $GLOBALS["me"]);';
$busy = start('frankenphp_worker_task_update($stream, ["me" => $GLOBALS["me"]]); wait_for_cancel($stream); $GLOBALS["freed"] = true;');
$first = frankenphp_worker_task_read($busy)['me'];
$others = [];
for ($i = 0; $i < 20; ++$i) {
    $others[ask(WHO)] = true;
}
echo count($others), ' other, ', isset($others[$first]) ? "the busy one\n" : "not the busy one\n";
// The free one dies with a task in hand and is started anew; the busy one does not notice.
echo outcome(start('throw new DomainException();')), ' ', outcome(start('exit(1);')), ' ', outcome(start('str_repeat("x", 1 << 40);')), "\n";
$after = ask(WHO);
echo $after !== $first && !isset($others[$after]) ? "a new one\n" : "an old one\n";
$read = [$busy];
$none = null;
echo stream_select($read, $none, $none, 0), " readable\n";
fclose($busy);
// Free again, it is the one that is left while the other works.
$other = start('frankenphp_worker_task_update($stream, ["me" => $GLOBALS["me"]]); wait_for_cancel($stream);');
$second = frankenphp_worker_task_read($other)['me'];
$third = ask(WHO);
echo $second !== $third && in_array($first, [$second, $third], true) ? "both serve\n" : "$first $second $third\n";
?>
--EXPECT--
1 other, not the busy one
UncaughtException Exited(1) MemoryLimit
a new one
0 readable
both serve
