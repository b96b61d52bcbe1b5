--TEST--
A task that takes longer than its deadline fails with Reason::Deadline, in wall time, and not later
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=1
--FILE--
<?php
use Igor\{TaskFailed, Worker};

$begin = hrtime(true);
$task = Worker::send('jobs', ['do' => 'sleep', 'seconds' => 1.5], deadline: 0.3);
try {
    $task->await();
    echo "completed\n";
} catch (TaskFailed $e) {
    echo $e->getReason()->name, ', ', $task->state()->name, "\n";
}
$took = (hrtime(true) - $begin) / 1e9;
echo $took >= 0.3 && $took < 1.2 ? 'in time' : "after $took s", "\n";
var_dump(Worker::send('jobs', ['do' => 'value', 'value' => 'alive'])->await());
foreach ([-1.0, NAN, INF] as $deadline) {
    try {
        Worker::send('jobs', [], deadline: $deadline);
    } catch (ValueError $e) {
        echo $e->getMessage(), "\n";
    }
}
?>
--EXPECTF--
Deadline, TimedOut
in time
string(5) "alive"
Igor\Worker::send(): Argument #4 ($deadline) %s
Igor\Worker::send(): Argument #4 ($deadline) %s
Igor\Worker::send(): Argument #4 ($deadline) %s
