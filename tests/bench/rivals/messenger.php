<?php

// Symfony Messenger over a Redis of its own: a job to one process, and its answer back on another transport, since the
// Messenger has no way to answer.

namespace Bench;

use Symfony\Component\Messenger\Envelope;

require __DIR__ . '/messenger.inc.php';

[, $milliseconds, $name] = $argv;
$payload = payload($name);
$folder = sys_get_temp_dir() . '/igor-bench-redis-' . getmypid();
mkdir($folder, 0700);
$socket = "$folder/socket";
$none = [0 => ['file', '/dev/null', 'r'], 1 => ['file', '/dev/null', 'w']];
$redis = proc_open(['/usr/bin/redis-server', '--port', '0', '--unixsocket', $socket, '--save', '', '--appendonly', 'no', '--dir', $folder], $none, $pipes);
while (@stream_socket_client("unix://$socket") === false) {
    must(proc_get_status($redis)['running'], 'redis-server did not start');
    usleep(1000);
}
$worker = proc_open([PHP_BINARY, '-d', 'memory_limit=2G', __DIR__ . '/messenger_worker.php', $socket], $none, $pipes);
try {
    $jobs = transport($socket, 'jobs');
    $replies = transport($socket, 'replies');
    // What both processes and Redis spend together is not known.
    echo measure((int) $milliseconds, 3, static function () use ($jobs, $replies, $payload, $worker): array {
        $jobs->send(new Envelope(new Message($payload)));
        for (;;) {
            foreach ($replies->get() as $envelope) {
                $replies->ack($envelope);
                return $envelope->getMessage()->payload;
            }
            must(proc_get_status($worker)['running'], 'the worker ended');
        }
    }, static fn (array $answer) => must($answer === $payload, 'not what was sent'), null, ['before' => [0, 0, 0], 'after' => [0, 0, 0]]);
} finally {
    foreach ([$worker, $redis] as $process) {
        proc_terminate($process);
        proc_close($process);
    }
    array_map(unlink(...), glob("$folder/*"));
    rmdir($folder);
}
