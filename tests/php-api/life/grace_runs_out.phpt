--TEST--
Workers that ignore the stop are interrupted when their grace is over: loops, sleeps, reads, catch-all loops, destructors
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$ways = [
    'loop' => 'while (true);',
    'catching loop' => 'while (true) { try { while (true); } catch (Throwable) { } finally { } }',
    'sleep' => 'while (true) { sleep(1000); }',
    'usleep' => 'while (true) { usleep(100000000); }',
    'read' => '[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); while (true) { fgets($a); }',
    'select' => '[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); while (true) { $r = [$a]; $n = null; stream_select($r, $n, $n, 1000); }',
    'update to nobody' => 'while (true) { try { while (true) { frankenphp_worker_task_update($stream, []); } } catch (RuntimeException) { } }',
    'looping destructor' => '$GLOBALS["o"] = new class { function __destruct() { while (true); } }; while (true);',
    'looping shutdown function' => 'register_shutdown_function(function () { while (true); }); while (true);',
    'deep in array_map' => 'array_map(function () { while (true); }, [1]);',
    'in a Fiber' => '$f = new Fiber(function () { while (true); }); $f->start();',
    'in a generator' => 'foreach ((function () { while (true) { yield 1; } })() as $x);',
    'preg callback' => 'preg_replace_callback("/x/", function () { while (true); }, "x");',
];
file_put_contents(__DIR__ . '/grace_runs_out.inc', <<<'PHP'
    <?php
    $task = frankenphp_worker_task_send('stubborn', ['run' => 'frankenphp_worker_task_update($stream, ["at" => "work"]);' . $argv[1]]);
    echo json_encode(frankenphp_worker_task_read($task)), "\n";
    PHP);
foreach ($ways as $name => $code) {
    echo $name, ': ';
    $took = run_process(__DIR__ . '/grace_runs_out.inc', ['IGOR_WORKERS' => 'stubborn=' . __DIR__ . '/../workers/eval.php,num=1,stop_grace_ms=100', 'IGOR_WORKER_LOG' => 'none'], [$code]);
    echo $took < 5 ? '' : "  it took $took s\n";
}
?>
--CLEAN--
<?php @unlink(__DIR__ . '/grace_runs_out.inc'); ?>
--EXPECT--
loop: {"at":"work"}
exit status 0
catching loop: {"at":"work"}
exit status 0
sleep: {"at":"work"}
exit status 0
usleep: {"at":"work"}
exit status 0
read: {"at":"work"}
exit status 0
select: {"at":"work"}
exit status 0
update to nobody: {"at":"work"}
exit status 0
looping destructor: {"at":"work"}
exit status 0
looping shutdown function: {"at":"work"}
exit status 0
deep in array_map: {"at":"work"}
exit status 0
in a Fiber: {"at":"work"}
exit status 0
in a generator: {"at":"work"}
exit status 0
preg callback: {"at":"work"}
exit status 0
