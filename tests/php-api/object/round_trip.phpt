--TEST--
Igor\Worker::send: updates by iterating and by read(), the completion value by await()
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=1
--FILE--
<?php
use Igor\Worker;

$task = Worker::send('jobs', ['do' => 'value', 'value' => ['answer' => 42]]);
var_dump($task->await(), $task->await(), $task->state());

foreach (Worker::send('jobs', ['do' => 'updates', 'count' => 3]) as $number => $update) {
    echo "$number: {$update['n']}\n";
}

$task = Worker::send('jobs', ['do' => 'updates', 'count' => 2]);
var_dump($task->read(), $task->read(), $task->read(), $task->read(), $task->await());

// Updates that nobody wants do not hold the worker up.
var_dump(Worker::send('jobs', ['do' => 'updates', 'count' => 100])->await());

foreach ([null, false, 0, 1.5, '', 'text', []] as $value) {
    var_dump(Worker::send('jobs', ['do' => 'value', 'value' => $value])->await() === $value);
}
var_dump(Worker::send('jobs', ['do' => 'close stream'])->await());
?>
--EXPECT--
array(1) {
  ["answer"]=>
  int(42)
}
array(1) {
  ["answer"]=>
  int(42)
}
enum(Igor\TaskState::Completed)
0: 1
1: 2
2: 3
array(1) {
  ["n"]=>
  int(1)
}
array(1) {
  ["n"]=>
  int(2)
}
NULL
NULL
int(2)
int(100)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
bool(true)
NULL
