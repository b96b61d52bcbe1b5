--TEST--
Whichever way a worker ends without fclose(), and wherever it keeps the stream, the task is an abort with its reason
--ENV--
IGOR_WORKERS=ends=../workers/ends.php,num=1,backoff_min_ms=1,max_consecutive_failures=-1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$places = ['local', 'static', 'property', 'closure', 'array', 'reference', 'global', 'constant', 'generator', 'cycle', 'fiber'];
$ways = ['exit 0', 'exit 7', 'exit text', 'return', 'throw', 'undefined', 'fatal', 'memory', 'recursion', 'stack', 'let go'];
foreach ($ways as $how) {
    $outcomes = [];
    foreach ($places as $where) {
        if ($how === 'let go' && in_array($where, ['static', 'reference', 'global', 'constant', 'cycle'])) {
            continue; // that would be holding on to it
        }
        $task = frankenphp_worker_task_send('ends', ['how' => $how, 'where' => $where], 10);
        $outcomes[outcome($task)][] = $where;
    }
    echo $how, "\n";
    foreach ($outcomes as $outcome => $from) {
        echo '  ', $outcome, ': ', implode(', ', $from), "\n";
    }
}
?>
--EXPECT--
exit 0
  Exited(0): local, static, property, closure, array, reference, global, constant, generator, cycle
  Abandoned: fiber
exit 7
  Exited(7): local, static, property, closure, array, reference, global, constant, generator, cycle
  Abandoned: fiber
exit text
  Exited(0): local, static, property, closure, array, reference, global, constant, generator, cycle
  Abandoned: fiber
return
  Abandoned: local, property, closure, array, generator, fiber
  Exited(0): static, reference, global, constant, cycle
throw
  UncaughtException: local, static, property, closure, array, reference, global, constant, generator, cycle
  Abandoned: fiber
undefined
  UncaughtException: local, static, property, closure, array, reference, global, constant, generator, cycle
  Abandoned: fiber
fatal
  FatalError: local, static, property, closure, array, reference, global, constant, generator, cycle, fiber
memory
  MemoryLimit: local, static, property, closure, array, reference, global, constant, generator, cycle, fiber
recursion
  MemoryLimit: local, static, property, closure, array, reference, global, constant, generator, cycle, fiber
stack
  FatalError: local, static, property, closure, array, reference, global, constant, generator, cycle
  Abandoned: fiber
let go
  Abandoned: local, property, closure, array, generator, fiber
