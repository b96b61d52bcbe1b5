--TEST--
Tasks sent and read in Fibers, one after the other and interleaved, and a worker that works in Fibers
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=2,queue=32
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') echo 'skip the address sanitizer loses the bounds of Fiber stacks inside the engine'; ?>
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
// Ten Fibers on one thread; each waits with stream_select by way of the scheduler below.
$waiting = [];
$results = [];
$fibers = [];
for ($n = 0; $n < 10; ++$n) {
    $fibers[$n] = new Fiber(function () use ($n, &$results) {
        $task = start('for ($i = 0; $i < 3; ++$i) { frankenphp_worker_task_update($stream, ["n" => $payload["n"], "i" => $i]); } fclose($stream);', ['n' => $n]);
        while (true) {
            Fiber::suspend($task);
            $update = frankenphp_worker_task_read($task);
            if ($update === null) {
                fclose($task);
                return;
            }
            $results[$n][] = $update['n'] . '/' . $update['i'];
        }
    });
    $waiting[$n] = $fibers[$n]->start();
}
while ($waiting) {
    $read = $waiting;
    $none = null;
    if (stream_select($read, $none, $none, 10) === 0) {
        exit('nothing within 10 seconds');
    }
    foreach (array_keys($read) as $n) {
        $waiting[$n] = $fibers[$n]->resume();
        if ($fibers[$n]->isTerminated()) {
            unset($waiting[$n]);
        }
    }
}
ksort($results);
echo implode(' ', array_merge(...$results)), "\n";

// Fibers within Fibers, blocking in the innermost; and an exception from an abort crosses them.
$outer = new Fiber(function () {
    $inner = new Fiber(function () {
        echo ask('reply($stream, "in a Fiber in a Fiber");'), "\n";
        Fiber::suspend();
        ask('exit(1);');
    });
    $inner->start();
    Fiber::suspend();
    $inner->resume();
});
$outer->start();
try {
    $outer->resume();
} catch (RuntimeException $e) {
    describe($e);
}

// A worker that receives, updates and closes in a Fiber.
echo ask(<<<'PHP'
    $fiber = new Fiber(function () use ($stream) {
        frankenphp_worker_task_update($stream, ['reply' => 'not yet']);
        Fiber::suspend();
        reply($stream, 'from a Fiber');
    });
    $fiber->start();
    $fiber->resume();
    PHP), "\n";
// A stack that is too small for deep nesting is not overrun by a deep payload.
ini_set('fiber.stack_size', '256K');
$deep = 'bottom';
for ($i = 0; $i < 510; ++$i) {
    $deep = [$deep];
}
$fiber = new Fiber(fn() => ask('reply($stream, $payload["deep"]);', ['deep' => $deep]));
$fiber->start();
var_dump($fiber->getReturn() === $deep);
?>
--EXPECT--
0/0 0/1 0/2 1/0 1/1 1/2 2/0 2/1 2/2 3/0 3/1 3/2 4/0 4/1 4/2 5/0 5/1 5/2 6/0 6/1 6/2 7/0 7/1 7/2 8/0 8/1 8/2 9/0 9/1 9/2
in a Fiber in a Fiber
RuntimeException: background worker exited without completing the task
  because Exited with status 1
from a Fiber
bool(true)
