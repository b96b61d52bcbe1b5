--TEST--
stream_select: no wait with timeout 0, a wait that ends in time, the right one of several, together with sockets
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=3
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
const WAITS = <<<'PHP'
    frankenphp_worker_task_update($stream, ['started' => true]);
    wait_for_cancel($stream);
    PHP;
// Answers when it is told to, by a byte on a socket that both sides know by name.
const ANSWERS = <<<'PHP'
    $socket = stream_socket_client('unix://' . $payload['path']);
    frankenphp_worker_task_update($stream, ['started' => true]);
    while (($byte = fread($socket, 1)) !== '' && $byte !== false) {
        if ($byte === 'u') {
            frankenphp_worker_task_update($stream, ['told' => true]);
        } elseif ($byte === 'w') {
            fwrite($socket, 'written');
        } elseif ($byte === 'c') {
            fclose($stream);
        } elseif ($byte === 'x') {
            exit(1);
        }
    }
    PHP;
$none = null;
$path = sys_get_temp_dir() . '/igor-' . getmypid() . '.sock';
$server = stream_socket_server('unix://' . $path);
$tasks = $sockets = [];
foreach (['a', 'b'] as $name) {
    $tasks[$name] = start(ANSWERS, ['path' => $path]);
    frankenphp_worker_task_read($tasks[$name]);
    $sockets[$name] = stream_socket_accept($server);
}
$tasks['quiet'] = start(WAITS);
frankenphp_worker_task_read($tasks['quiet']);

$select = function (?int $seconds, int $micros = 0) use (&$tasks, &$sockets): string {
    $read = $tasks + array_combine(array_map(fn($n) => "socket $n", array_keys($sockets)), $sockets);
    $none = null;
    $count = stream_select($read, $none, $none, $seconds, $seconds === null ? null : $micros);
    return $count . ': ' . implode(', ', array_keys($read));
};
echo 'timeout 0 ', $select(0), "\n";
$begin = hrtime(true);
echo 'timeout 30 ms ', $select(0, 30_000), "\n";
$took = (hrtime(true) - $begin) / 1e6;
echo $took >= 29 && $took < 1000 ? "in time\n" : "after $took ms\n";
fwrite($sockets['b'], 'u');
echo 'an update ', $select(10), "\n";
echo 'still ', $select(0), "\n";
echo json_encode(frankenphp_worker_task_read($tasks['b'])), "\n";
echo 'read ', $select(0), "\n";
fwrite($sockets['a'], 'w');
echo 'a socket ', $select(10), ' ', fread($sockets['a'], 7), "\n";
fwrite($sockets['a'], 'uc');
frankenphp_worker_task_read($tasks['a']);
echo 'an end ', $select(null), ' feof ', var_export(feof($tasks['a']), true), "\n";
var_dump(frankenphp_worker_task_read($tasks['a']));
echo 'after the end ', $select(0), "\n";
fclose($tasks['a']);
unset($tasks['a']);
fwrite($sockets['b'], 'x');
$read = [$tasks['b'], $tasks['quiet']];
echo 'an abort ', stream_select($read, $none, $none, 10), ' ', $read[0] === $tasks['b'] ? 'b' : 'another', "\n";
echo outcome($tasks['b']), "\n";
// One that is closed is refused by select, as any stream.
fclose($tasks['b']);
$read = [$tasks['b'], $tasks['quiet']];
attempt('with a closed one', fn() => stream_select($read, $none, $none, 0));
unset($tasks['b']);
// Twice in one array, and as the exceptional set.
$read = [$tasks['quiet'], $tasks['quiet']];
$except = [$tasks['quiet']];
var_dump(stream_select($read, $none, $except, 0));
unlink($path);
?>
--EXPECT--
timeout 0 0: 
timeout 30 ms 0: 
in time
an update 1: b
still 1: b
{"told":true}
read 0: 
a socket 1: socket a written
an end 1: a feof true
NULL
after the end 1: a
an abort 1 b
Exited(1)
with a closed one: TypeError: stream_select(): supplied resource is not a valid stream resource
  because TypeError: stream_select(): supplied resource is not a valid stream resource
int(0)
