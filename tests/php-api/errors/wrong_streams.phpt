--TEST--
task_read with something else than a sender's stream
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$closed = frankenphp_worker_task_send('tool', ['do' => 'nothing']);
fclose($closed);
foreach ([
    'file' => fopen(__FILE__, 'r'),
    'context' => stream_context_create(),
    'closed' => $closed,
    'string' => 'stream',
    'null' => null,
] as $name => $stream) {
    try {
        echo $name, ' ';
        var_dump(frankenphp_worker_task_read($stream));
    } catch (Throwable $e) {
        describe($e);
    }
}
// The sender's end is not the worker's.
$task = frankenphp_worker_task_send('tool', ['do' => 'nothing']);
try {
    frankenphp_worker_task_update($task, ['x' => 1]);
} catch (Throwable $e) {
    describe($e);
}
?>
--EXPECTF--
file %rTypeError|ValueError%r: frankenphp_worker_task_read(): Argument #1 ($stream) %s
context TypeError: %s
closed TypeError: frankenphp_worker_task_read(): %s
string TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, string given
null TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, null given
%rRuntimeException|TypeError|ValueError%r: %s
