--TEST--
Task::cancel and letting go of a task: the worker sees it in isCancelled()
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
use Igor\Worker;

$file = __DIR__ . '/cancel.txt';
$task = Worker::send('jobs', ['do' => 'until cancelled', 'file' => $file]);
var_dump($task->read(), $task->state());
$task->cancel();
$task->cancel();
var_dump($task->state());
show_file($file);

$task = Worker::send('jobs', ['do' => 'until cancelled', 'file' => $file]);
$task->read();
unset($task);
show_file($file);
var_dump(Worker::send('jobs', ['do' => 'value', 'value' => 'alive'])->await());
?>
--CLEAN--
<?php @unlink(__DIR__ . '/cancel.txt'); ?>
--EXPECT--
array(1) {
  ["started"]=>
  bool(true)
}
enum(Igor\TaskState::Running)
enum(Igor\TaskState::Cancelled)
cancelled
cancelled
string(5) "alive"
