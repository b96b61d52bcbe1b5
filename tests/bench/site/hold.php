<?php

// Keeps tasks that say so, and gives back the others: senders then have many streams that stay quiet.
$held = [];
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
        if ($payload === ['release']) {
            array_map(fclose(...), $held);
            $held = [];
        }
        if ($payload === ['hold']) {
            $held[] = $stream;
            continue;
        }
        frankenphp_worker_task_update($stream, $payload);
        fclose($stream);
    }
}
