--TEST--
The stop signal reaches a worker however it waits; it runs to its end, destructors and shutdown functions included
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$tests = __DIR__ . '/../workers';
file_put_contents(__DIR__ . '/stop_signal.inc', <<<'PHP'
    <?php
    // Waits in the way that its name says.
    $name = $argv[1];
    $signals = frankenphp_worker_get_signaling_stream();
    $say = fn($what) => file_put_contents(getenv('SAID'), "$name: $what\n", FILE_APPEND | LOCK_EX);
    register_shutdown_function(fn() => $say('shutdown function'));
    $guard = new class($say) { function __construct(private $say) {} function __destruct() { ($this->say)('destructor'); } };
    $none = null;
    switch ($name) {
        case 'fgets':
            $line = fgets($signals);
            break;
        case 'select':
            $read = [$signals];
            stream_select($read, $none, $none, 20);
            $line = fgets($signals);
            break;
        case 'select_with_others':
            [$mine, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
            $read = [$mine, $signals];
            stream_select($read, $none, $none, 20);
            $line = count($read) . ' ' . fgets($signals);
            break;
        case 'receives':
            while (frankenphp_worker_task_receive() === null) {
                stream_set_blocking($signals, false);
                if ($line = fgets($signals)) {
                    break;
                }
                usleep(1000);
            }
            break;
        case 'returns':
            if (fgets($signals) === "stop\n") {
                $say('"stop\n"');
                return;
            }
    }
    $say(json_encode($line));
    $again = [$signals];
    $say('again ' . json_encode([fgets($signals), stream_select($again, $none, $none, 0), feof($signals), frankenphp_worker_task_receive()]));
    exit($name === 'fgets' ? 3 : 0);
    PHP);
file_put_contents(__DIR__ . '/stop_signal_main.inc', '<?php echo "main\n";');
$said = __DIR__ . '/stop_signal.txt';
$list = implode(';', array_map(fn($name) => "$name=" . __DIR__ . '/stop_signal.inc,num=1', ['fgets', 'select', 'select_with_others', 'receives', 'returns']));
$took = run_process(__DIR__ . '/stop_signal_main.inc', ['IGOR_WORKERS' => $list, 'IGOR_WORKER_LOG' => 'none', 'SAID' => $said]);
echo $took < 4 ? "within the grace\n" : "after $took s\n";
$lines = file($said);
// Each worker's own lines are in order; the workers among themselves are not.
$by_name = [];
foreach ($lines as $line) {
    [$name, $what] = explode(': ', $line, 2);
    $by_name[$name][] = trim($what);
}
ksort($by_name);
foreach ($by_name as $name => $whats) {
    echo $name, ': ', implode(', ', $whats), "\n";
}
?>
--CLEAN--
<?php
array_map(unlink(...), glob(__DIR__ . '/stop_signal*.{inc,txt}', GLOB_BRACE));
?>
--EXPECT--
main
exit status 0
within the grace
fgets: "stop\n", again ["stop\n",1,false,null], shutdown function, destructor
receives: "stop\n", again ["stop\n",1,false,null], shutdown function, destructor
returns: "stop\n", shutdown function, destructor
select: "stop\n", again ["stop\n",1,false,null], shutdown function, destructor
select_with_others: "1 stop\n", again ["stop\n",1,false,null], shutdown function, destructor
