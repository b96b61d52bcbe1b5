--TEST--
A sender that lets go of its stream in whichever way cancels the task; the worker goes on with the next
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
const WAITS = 'frankenphp_worker_task_update($stream, ["started" => true]); wait_for_cancel($stream); $GLOBALS["seen"] = feof($stream);';
final class Holder
{
    public ?Holder $itself = null;

    public function __construct(public $task)
    {
    }
}
function local_scope(): void
{
    $task = start(WAITS);
    frankenphp_worker_task_read($task);
}
function thrown_away(): void
{
    $task = start(WAITS);
    frankenphp_worker_task_read($task);
    throw new DomainException('on the way');
}
$ways = [
    'unset' => function () {
        $task = start(WAITS);
        frankenphp_worker_task_read($task);
        unset($task);
    },
    'overwritten' => function () {
        $task = start(WAITS);
        frankenphp_worker_task_read($task);
        $task = null;
    },
    'end of a function' => local_scope(...),
    'exception' => function () {
        try {
            thrown_away();
        } catch (DomainException) {
        }
    },
    'property' => function () {
        $holder = new Holder(start(WAITS));
        frankenphp_worker_task_read($holder->task);
    },
    'cycle' => function () {
        $holder = new Holder(start(WAITS));
        $holder->itself = $holder;
        frankenphp_worker_task_read($holder->task);
        unset($holder);
        gc_collect_cycles();
    },
    'generator' => function () {
        $generator = (function () {
            $task = start(WAITS);
            yield frankenphp_worker_task_read($task);
            yield $task;
        })();
        $generator->current();
    },
    'fiber' => function () {
        $fiber = new Fiber(function () {
            $task = start(WAITS);
            Fiber::suspend(frankenphp_worker_task_read($task));
        });
        $fiber->start();
    },
];
foreach ($ways as $name => $way) {
    $way();
    echo $name, ': ', json_encode(ask('reply($stream, $GLOBALS["seen"] ?? null); $GLOBALS["seen"] = null;')), "\n";
}
?>
--EXPECT--
unset: true
overwritten: true
end of a function: true
exception: true
property: true
cycle: true
generator: true
fiber: true
