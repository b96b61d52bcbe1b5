--TEST--
Task::all, ::any and ::race when tasks fail, were cancelled, have ended before, or are given twice
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=1,queue=20
--FILE--
<?php
use Igor\{Task, TaskFailed, Worker};

function say(callable $do): void
{
    try {
        echo json_encode($do()), "\n";
    } catch (TaskFailed $e) {
        echo 'TaskFailed: ', $e->getReason()->name, ' (', $e->getErrorMessage(), ")\n";
    } catch (Throwable $e) {
        echo get_class($e), ': ', $e->getMessage(), "\n";
    }
}
$value = fn($v) => Worker::send('jobs', ['do' => 'value', 'value' => $v]);
$fail = fn($m) => Worker::send('jobs', ['do' => 'fail', 'message' => $m]);
$states = fn(array $tasks) => implode(' ', array_map(fn($t) => $t->state()->name, $tasks)) . "\n";

// One worker, in order: which one ends first is certain.
$tasks = [$value(1), $fail('second'), $value(3)];
say(fn() => Task::all($tasks));
echo $tasks[1]->state()->name, "\n";

$tasks = [$fail('a'), $fail('b'), $value('c'), $value('d')];
say(fn() => Task::any($tasks));

$tasks = [$fail('a'), $fail('b')];
say(fn() => Task::any($tasks));
echo $states($tasks);

$tasks = [$fail('first'), $value('second')];
say(fn() => Task::race($tasks));

// Ended before it was asked for: at once, and again.
$done = $value('done');
$done->await();
say(fn() => Task::race([$done]));
say(fn() => Task::any(['k' => $done]));
say(fn() => Task::all(['x' => $done, 'y' => $done, 7 => $value('seven')]));
$failed = $fail('long ago');
try {
    $failed->await();
} catch (TaskFailed) {
}
say(fn() => Task::all([$failed]));
say(fn() => Task::any([$failed, $done]));

$busy = Worker::send('jobs', ['do' => 'until cancelled', 'file' => $file = __DIR__ . '/groups_of_failures.txt']);
$busy->read();
$cancelled = $value('cancelled');
$cancelled->cancel();
$busy->cancel();
say(fn() => Task::all([$cancelled]));
say(fn() => Task::any([$cancelled, $done]));

// Nobody reads the updates: they do not hold the worker up.
say(fn() => Task::all([Worker::send('jobs', ['do' => 'updates', 'count' => 50]), $value('after them')]));

$closed = $value('closed');
fclose($closed->stream());
say(fn() => Task::all([$closed]));

// What is no task is refused before anything is waited for or cancelled.
$kept = $value('kept');
say(fn() => Task::all([$kept, 'no task']));
say(fn() => Task::all((function () use ($kept) { yield $kept; throw new DomainException('from the iterator'); })()));
say(fn() => $kept->await());
?>
--CLEAN--
<?php @unlink(__DIR__ . '/groups_of_failures.txt'); ?>
--EXPECT--
TaskFailed: Abandoned (second)
Failed
"c"
TaskFailed: Abandoned (b)
Failed Failed
TaskFailed: Abandoned (first)
"done"
"done"
{"x":"done","y":"done","7":"seven"}
TaskFailed: Abandoned (long ago)
"done"
TaskFailed: Abandoned (cancelled by its sender)
"done"
[50,"after them"]
Error: the stream of this Igor\Task is closed
TypeError: Igor\Task::all(): Argument #1 ($tasks) must contain only Igor\Task objects, string given
DomainException: from the iterator
"kept"
