<?php

// Answers each task with as many updates as it asks for.
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
        for ($i = 0; $i < $payload['updates']; ++$i) {
            frankenphp_worker_task_update($stream, ['done' => $i]);
        }
        fclose($stream);
    }
}
