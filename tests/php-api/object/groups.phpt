--TEST--
Task::all, ::any and ::race over tasks of a pool
--ENV--
IGOR_WORKERS=jobs=../workers/jobs.php,num=3
--FILE--
<?php
use Igor\{Task, TaskFailed, Worker};

$value = fn($v) => Worker::send('jobs', ['do' => 'value', 'value' => $v]);
$sleep = fn($s) => Worker::send('jobs', ['do' => 'sleep', 'seconds' => $s]);
$fail = fn($m) => Worker::send('jobs', ['do' => 'fail', 'message' => $m]);

$begin = hrtime(true);
echo json_encode(Task::all(['slow' => $sleep(0.3), 'other' => $sleep(0.3), 'quick' => $value('q')])), "\n";
echo (hrtime(true) - $begin) / 1e9 < 0.55 ? 'side by side' : 'one by one', "\n";
echo json_encode(Task::all([])), "\n";
echo json_encode(Task::all((function () use ($value) { yield 'a' => $value(1); yield 'b' => $value(2); })())), "\n";

$slow = $sleep(1.0);
$begin = hrtime(true);
try {
    Task::all([$slow, $fail('one of them')]);
} catch (TaskFailed $e) {
    echo $e->getErrorMessage(), ', the other is ', $slow->state()->name,
        (hrtime(true) - $begin) / 1e9 < 0.8 ? ' at once' : ' late', "\n";
}

echo Task::any([$fail('a'), $value('first that works'), $fail('b')]), "\n";
try {
    Task::any([$fail('a'), $fail('b')]);
} catch (TaskFailed $e) {
    echo 'none: ', in_array($e->getErrorMessage(), ['a', 'b'], true) ? 'one of the failures' : $e->getErrorMessage(), "\n";
}

echo Task::race([$value('won'), $sleep(0.8)]), "\n";
try {
    Task::race([$fail('lost'), $sleep(0.8)]);
} catch (TaskFailed $e) {
    echo 'race: ', $e->getErrorMessage(), "\n";
}
foreach ([fn() => Task::any([]), fn() => Task::race([]), fn() => Task::all([1]), fn() => Task::all([new stdClass()])] as $bad) {
    try {
        $bad();
        echo "accepted\n";
    } catch (Error $e) {
        echo get_class($e), ': ', $e->getMessage(), "\n";
    }
}
?>
--EXPECTF--
{"slow":0.3,"other":0.3,"quick":"q"}
side by side
[]
{"a":1,"b":2}
one of them, the other is Cancelled at once
first that works
none: one of the failures
won
race: lost
ValueError: Igor\Task::any(): Argument #1 ($tasks) %s
ValueError: Igor\Task::race(): Argument #1 ($tasks) %s
TypeError: Igor\Task::all(): Argument #1 ($tasks) %s
TypeError: Igor\Task::all(): Argument #1 ($tasks) %s
