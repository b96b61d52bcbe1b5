--TEST--
Job::fail, a worker that throws and one that lets go: TaskFailed with its reason, and the worker lives on
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=1
--FILE--
<?php
use Igor\{TaskFailed, Worker};

function show(array $payload, ?float $deadline = null): void
{
    $task = Worker::send('jobs', $payload, deadline: $deadline);
    try {
        var_dump($task->await());
    } catch (TaskFailed $e) {
        echo $e->getReason()->name, ', ', $e->getErrorClass() ?? 'no class', ', ', $e->getErrorMessage() ?? 'no message',
            ', ', $task->state()->name, "\n";
        // The same each time it is asked.
        try {
            $task->await();
        } catch (TaskFailed $again) {
            var_dump($again->getReason() === $e->getReason());
        }
    }
}

show(['do' => 'fail', 'message' => 'no such customer']);
show(['do' => 'fail with exception']);
show(['do' => 'throw']);
show(['do' => 'let go']);
show(['do' => 'value', 'value' => 'alive']);
?>
--EXPECTF--
%s, no class, no such customer, Failed
bool(true)
UncaughtException, DomainException, what went wrong, Failed
bool(true)
UncaughtException, DomainException, out of the loop, Failed
bool(true)
Abandoned, no class, %s, Failed
bool(true)
string(5) "alive"
