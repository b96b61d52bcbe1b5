--TEST--
Iterating over a task: each update once, whoever reads it; the end of the loop is the end of the task
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=1
--FILE--
<?php
use Igor\{Task, TaskFailed, Worker};

$updates = fn(int $count) => Worker::send('jobs', ['do' => 'updates', 'count' => $count]);
$numbers = fn(iterable $updates) => json_encode(array_column(iterator_to_array($updates), 'n'));

echo $numbers($updates(3)), "\n";

$task = $updates(6);
foreach ($task as $key => $update) {
    echo "$key: {$update['n']}, ";
    if ($key === 1) {
        break;
    }
}
echo 'by hand: ', $task->read()['n'], ', ';
foreach ($task as $key => $update) { // goes on, and counts anew
    echo "$key: {$update['n']}, ";
}
foreach ($task as $update) {
    echo 'never';
}
echo $task->await(), "\n";

// An iterator of its own, through a generator and SPL.
$task = $updates(4);
echo $numbers((fn() => yield from $task)()), "\n";
echo $numbers(new IteratorIterator($updates(2))), ' ', $numbers(new NoRewindIterator($updates(2)->getIterator())), "\n";

// More updates than there are places, none awaited before all were sent but one.
$task = $updates(100);
echo array_sum(array_column(iterator_to_array($task), 'n')), ' ', $task->state()->name, "\n";

// A task that fails: what was sent before is delivered, then the loop throws, each time.
$task = Worker::send('jobs', ['do' => 'update and throw']);
for ($i = 0; $i < 2; ++$i) {
    try {
        foreach ($task as $key => $update) {
            echo $key, json_encode($update), "\n";
        }
        echo "ended\n";
    } catch (TaskFailed $e) {
        echo $e->getErrorClass(), ': ', $e->getErrorMessage(), "\n";
    }
}

// Letting go of the iterator's last reference lets go of the task.
$iterator = $updates(50)->getIterator();
$iterator->rewind();
echo json_encode($iterator->current()), "\n";
unset($iterator);
echo $updates(1)->await(), "\n";
echo $updates(1) instanceof Traversable && $updates(1) instanceof IteratorAggregate ? 'traversable' : 'not', "\n";
?>
--EXPECT--
[1,2,3]
0: 1, 1: 2, by hand: 3, 0: 4, 1: 5, 2: 6, 6
[1,2,3,4]
[1,2] [1,2]
5050 Completed
0{"n":1}
DomainException: after an update
DomainException: after an update
{"n":1}
1
traversable
