--TEST--
Every state of a task as its sender sees it, and what read() and await() say in each, once and again
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=1,queue=5
--FILE--
<?php
use Igor\{TaskFailed, Worker};

function say(callable $do): string
{
    try {
        return json_encode($do());
    } catch (TaskFailed $e) {
        return $e->getReason()->name . ' (' . $e->getErrorMessage() . ')';
    }
}
function show(string $what, Igor\Task $task): void
{
    echo "$what: ", say(fn() => $task->read()), '; ', say(fn() => $task->await()), '; ',
        say(fn() => $task->await()), '; ', say(fn() => $task->read()), '; ', $task->state()->name, "\n";
}

$file = __DIR__ . '/states.txt';
$busy = Worker::send('jobs', ['do' => 'until cancelled', 'file' => $file]);
echo json_encode($busy->read()), ' ', $busy->state()->name, "\n";

// The worker is busy, so these wait.
$late = Worker::send('jobs', ['do' => 'value', 'value' => 'late'], deadline: 0.05);
$unwanted = Worker::send('jobs', ['do' => 'value', 'value' => 'unwanted']);
$next = Worker::send('jobs', ['do' => 'updates', 'count' => 2]);
$fails = Worker::send('jobs', ['do' => 'fail', 'message' => 'on purpose']);
echo $late->state()->name, ' ', $unwanted->state()->name, ' ', $next->state()->name, "\n";

echo say(fn() => $late->await()), "\n";
show('timed out', $late);
$unwanted->cancel();
show('cancelled', $unwanted);
$busy->cancel();
show('cancelled while it ran', $busy);
show('completed', $next);
show('failed', $fails);
foreach ([$next, $fails, $late] as $ended) {
    $ended->cancel(); // too late to change anything
    echo $ended->state()->name, "\n";
}
fclose($fails->stream());
echo $fails->state()->name, "\n";
foreach (['read', 'await', 'getIterator'] as $method) {
    try {
        $made = $fails->$method();
        echo $method, ': ', get_debug_type($made) === 'null' ? 'null' : 'an iterator', "\n";
        foreach ($made ?? [] as $update);
    } catch (Error $e) {
        echo get_class($e), ': ', $e->getMessage(), "\n";
    }
}
?>
--CLEAN--
<?php @unlink(__DIR__ . '/states.txt'); ?>
--EXPECT--
{"started":true} Running
Pending Pending Pending
Deadline (the task's time ran out)
timed out: Deadline (the task's time ran out); Deadline (the task's time ran out); Deadline (the task's time ran out); Deadline (the task's time ran out); TimedOut
cancelled: Abandoned (cancelled by its sender); Abandoned (cancelled by its sender); Abandoned (cancelled by its sender); Abandoned (cancelled by its sender); Cancelled
cancelled while it ran: Abandoned (cancelled by its sender); Abandoned (cancelled by its sender); Abandoned (cancelled by its sender); Abandoned (cancelled by its sender); Cancelled
completed: {"n":1}; 2; 2; null; Completed
failed: Abandoned (on purpose); Abandoned (on purpose); Abandoned (on purpose); Abandoned (on purpose); Failed
Completed
Failed
TimedOut
Cancelled
Error: the stream of this Igor\Task is closed
Error: the stream of this Igor\Task is closed
getIterator: an iterator
Error: the stream of this Igor\Task is closed
