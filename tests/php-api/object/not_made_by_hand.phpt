--TEST--
Objects of the API are made by Igor alone: no new, clone, serialize or dynamic property
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=1
--FILE--
<?php
use Igor\{Inbox, Job, Task, Worker};

$task = Worker::send('jobs', ['do' => 'readonly']);
echo $task->await(), "\n";
foreach ([
    fn() => new Task(), fn() => new Inbox(), fn() => new Job(),
    fn() => clone $task,
    fn() => serialize($task),
    fn() => $task->colour = 'red',
    fn() => unserialize('O:9:"Igor\Task":0:{}'),
    fn() => (new ReflectionClass(Task::class))->newInstanceWithoutConstructor(),
] as $bad) {
    try {
        $made = $bad();
        echo is_object($made) ? 'made ' . get_class($made) : var_export($made, true), "\n";
    } catch (Throwable $e) {
        echo get_class($e), ': ', $e->getMessage(), "\n";
    }
}
try {
    Worker::current();
} catch (Throwable $e) {
    echo get_class($e), ': ', $e->getMessage(), "\n";
}
?>
--EXPECTF--
Cannot modify readonly property Igor\Job::$payload
Error: %s
Error: %s
Error: %s
Error: Trying to clone an uncloneable object of class Igor\Task
Exception: Serialization of 'Igor\Task' is not allowed
Error: Cannot create dynamic property Igor\Task::$colour
Exception: Unserialization of 'Igor\Task' is not allowed
%s: %s
RuntimeException: %sbackground worker%S
