--TEST--
The worker's functions outside of a background worker
--ENV--
IGOR_WORKERS=tool=../workers/tool.php
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
foreach ([
    fn() => frankenphp_worker_task_receive(),
    fn() => frankenphp_worker_get_signaling_stream(),
    fn() => frankenphp_worker_task_update(fopen('php://memory', 'r'), []),
] as $call) {
    try {
        $call();
        echo "nothing happened\n";
    } catch (Throwable $e) {
        describe($e);
    }
}
?>
--EXPECTF--
RuntimeException: %sbackground worker%S
RuntimeException: %sbackground worker%S
%rRuntimeException|TypeError|ValueError%r: %s
