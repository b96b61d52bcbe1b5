--TEST--
Inbox and Job: times, several jobs at once, refusals, what is left after the end, functions on the same streams
--ENV--
IGOR_WORKERS=inbox=../workers/inbox.php,num=1,queue=5
--FILE--
<?php
use Igor\{Task, TaskFailed, Worker};

$ask = fn(string $do, array $more = []) => Worker::send('inbox', ['do' => $do] + $more);
foreach ($ask('inbox')->await() as $what => $said) {
    echo "$what: ", is_array($said) ? implode('; ', array_map(fn($s) => is_string($s) ? $s : json_encode($s), $said)) : (is_string($said) ? $said : json_encode($said)), "\n";
}

// One worker holds several, and ends them in another order.
$tasks = [];
foreach (['a', 'b', 'c'] as $name) {
    $tasks[$name] = $ask('hold', ['name' => $name]);
}
echo $ask('complete held', ['names' => ['c', 'a']])->await(), ' left; ', $tasks['a']->await(), $tasks['c']->await(), ' ', $tasks['b']->state()->name, "\n";

// The sender leaves: everything of the job's says so.
$tasks['b']->cancel();
echo json_encode($ask('look at held', ['name' => 'b', 'wait' => 5])->await()), "\n";

$task = $ask('after the end');
echo json_encode(iterator_to_array($task)), ' ', $task->await(), "\n";
while (!isset($vars['payload'])) {
    $vars = frankenphp_worker_get_vars('inbox', 10);
}
echo json_encode($vars), "\n";

$task = $ask('functions');
echo json_encode(iterator_to_array($task)), ' ', json_encode($task->await()), ' ', $task->state()->name, "\n";

try {
    $ask('fail')->await();
} catch (TaskFailed $e) {
    echo $e->getReason()->name, ', ', $e->getErrorClass(), ', ', $e->getErrorMessage(), ', ', basename($e->getErrorFile()), ', ',
        $e->getErrorLine() > 0 ? 'a line' : 'no line', ', ', str_ends_with($e->getErrorTrace(), '{main}') ? 'a trace' : 'no trace', ', ', $e->getExitStatus(), "\n";
}
?>
--EXPECT--
others: null; null
no time: ValueError: Igor\Inbox::receive(): Argument #1 ($timeout) must be a finite number of seconds, 0 or more; ValueError: Igor\Inbox::receive(): Argument #1 ($timeout) must be a finite number of seconds, 0 or more; ValueError: Igor\Inbox::receive(): Argument #1 ($timeout) must be a finite number of seconds, 0 or more
another inbox: true; null
stream: true
stopping: false
publish: ValueError: $vars['bad']: resource cannot be sent; null, bool, int, float, string, array and enum cases can
1 left; ac Running
{"cancelled":true,"readable":1,"end":true,"update":"RuntimeException: task closed","complete":"null","fail":"null","then":false,"payload":{"do":"hold","name":"b"}}
[{"before":1},{"refused":"ValueError: $value['bad']: closure cannot be sent; null, bool, int, float, string, array and enum cases can","still open":true}] done
{"update":"Error: the stream of this Igor\\Job is closed","complete":"null","fail":"null","cancelled":false,"stream":false,"payload":{"do":"after the end"}}
[{"by":"function"},{"by":"method"}] null Completed
UncaughtException, RuntimeException, the outer, inbox.php, a line, a trace, 0
