<?php

// Gives back what it gets. Waits as published examples do, in stream_select() on the signaling stream.
require __DIR__ . '/lib.php';

$signals = frankenphp_worker_get_signaling_stream();
for (;;) {
    $read = [$signals];
    $write = $except = [];
    if (stream_select($read, $write, $except, null) === false) {
        continue;
    }
    if (fgets($signals) === "stop\n") {
        break;
    }
    while ($task = frankenphp_worker_task_receive()) {
        [$stream, $payload] = $task;
        frankenphp_worker_task_update($stream, $payload);
        fclose($stream);
    }
}
