--TEST--
Arguments of wrong types and values: each function says which one and what it wants
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
attempt('no arguments', fn() => frankenphp_worker_task_send());
attempt('payload missing', fn() => frankenphp_worker_task_send('tool'));
attempt('too many', fn() => frankenphp_worker_task_send('tool', [], 1.0, 2));
attempt('name is an array', fn() => frankenphp_worker_task_send([], []));
attempt('name is null', fn() => @frankenphp_worker_task_send(null, []));
attempt('payload is a string', fn() => frankenphp_worker_task_send('tool', 'text'));
attempt('payload is an object', fn() => frankenphp_worker_task_send('tool', new ArrayObject()));
attempt('timeout is a text', fn() => frankenphp_worker_task_send('tool', [], 'soon'));
attempt('unknown parameter', fn() => frankenphp_worker_task_send(name: 'tool', payload: [], wait: 3));
attempt('named', fn() => frankenphp_worker_task_send(payload: ['do' => 'nothing'], name: 'tool', timeout: 5));
attempt('empty name', fn() => frankenphp_worker_task_send('', []));
attempt('NUL in name', fn() => frankenphp_worker_task_send("tool\0", []));
attempt('255 bytes', fn() => frankenphp_worker_task_send(str_repeat('n', 255), []));
attempt('256 bytes', fn() => frankenphp_worker_task_send(str_repeat('n', 256), []));
attempt('ten kilobytes', fn() => frankenphp_worker_task_send(str_repeat('n', 10_000), []));
attempt('other case', fn() => frankenphp_worker_task_send('TOOL', []));
foreach ([-1, -PHP_FLOAT_MIN, NAN, INF, -INF, PHP_INT_MIN] as $timeout) {
    attempt('timeout ' . var_export($timeout, true), fn() => frankenphp_worker_task_send('tool', ['do' => 'nothing'], $timeout));
}
attempt('timeout -0.0', fn() => frankenphp_worker_task_send('tool', ['do' => 'nothing'], -0.0));
attempt('timeout PHP_FLOAT_MAX', fn() => frankenphp_worker_task_send('tool', ['do' => 'nothing'], PHP_FLOAT_MAX));
attempt('timeout as int', fn() => frankenphp_worker_task_send('tool', ['do' => 'nothing'], 5));
foreach (['frankenphp_worker_task_read', 'frankenphp_worker_task_receive', 'frankenphp_worker_task_update', 'frankenphp_worker_get_signaling_stream'] as $function) {
    attempt($function, fn() => $function(...array_fill(0, 5, 1)));
}
attempt('read nothing', fn() => frankenphp_worker_task_read());
foreach ([1, 1.5, true, 'text', [], new stdClass(), null] as $value) {
    attempt('read ' . get_debug_type($value), fn() => frankenphp_worker_task_read($value));
}
attempt('nothing of that hurt', fn() => outcome(frankenphp_worker_task_send('tool', ['do' => 'nothing'])));
?>
--EXPECT--
no arguments: ArgumentCountError: frankenphp_worker_task_send() expects at least 2 arguments, 0 given
payload missing: ArgumentCountError: frankenphp_worker_task_send() expects at least 2 arguments, 1 given
too many: ArgumentCountError: frankenphp_worker_task_send() expects at most 3 arguments, 4 given
name is an array: TypeError: frankenphp_worker_task_send(): Argument #1 ($name) must be of type string, array given
name is null: ValueError: frankenphp_worker_task_send(): Argument #1 ($name) must not be empty
payload is a string: TypeError: frankenphp_worker_task_send(): Argument #2 ($payload) must be of type array, string given
payload is an object: TypeError: frankenphp_worker_task_send(): Argument #2 ($payload) must be of type array, ArrayObject given
timeout is a text: TypeError: frankenphp_worker_task_send(): Argument #3 ($timeout) must be of type float, string given
unknown parameter: Error: Unknown named parameter $wait
named: resource (stream)
empty name: ValueError: frankenphp_worker_task_send(): Argument #1 ($name) must not be empty
NUL in name: ValueError: frankenphp_worker_task_send(): Argument #1 ($name) must not contain any null bytes
255 bytes: RuntimeException: no background worker named "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" in this php_server or the global block, and no catch-all
256 bytes: ValueError: frankenphp_worker_task_send(): Argument #1 ($name) must be a worker's name of at most 255 bytes, 256 given
ten kilobytes: ValueError: frankenphp_worker_task_send(): Argument #1 ($name) must be a worker's name of at most 255 bytes, 10000 given
other case: RuntimeException: no background worker named "TOOL" in this php_server or the global block, and no catch-all
timeout -1: ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) must be a finite number of seconds, 0 or more
timeout -2.2250738585072014E-308: ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) must be a finite number of seconds, 0 or more
timeout NAN: ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) must be a finite number of seconds, 0 or more
timeout INF: ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) must be a finite number of seconds, 0 or more
timeout -INF: ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) must be a finite number of seconds, 0 or more
timeout -9223372036854775807-1: ValueError: frankenphp_worker_task_send(): Argument #3 ($timeout) must be a finite number of seconds, 0 or more
timeout -0.0: resource (stream)
timeout PHP_FLOAT_MAX: resource (stream)
timeout as int: resource (stream)
frankenphp_worker_task_read: ArgumentCountError: frankenphp_worker_task_read() expects exactly 1 argument, 5 given
frankenphp_worker_task_receive: ArgumentCountError: frankenphp_worker_task_receive() expects exactly 0 arguments, 5 given
frankenphp_worker_task_update: ArgumentCountError: frankenphp_worker_task_update() expects exactly 2 arguments, 5 given
frankenphp_worker_get_signaling_stream: ArgumentCountError: frankenphp_worker_get_signaling_stream() expects exactly 0 arguments, 5 given
read nothing: ArgumentCountError: frankenphp_worker_task_read() expects exactly 1 argument, 0 given
read int: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, int given
read float: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, float given
read bool: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, true given
read string: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, string given
read array: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, array given
read stdClass: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, stdClass given
read null: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be of type resource, null given
nothing of that hurt: "completed"
