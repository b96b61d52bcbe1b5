<?php

// Gives back what it gets, once; the next task needs a new start of this script.
$signals = frankenphp_worker_get_signaling_stream();
$read = [$signals];
$write = $except = [];
stream_select($read, $write, $except, null);
if (fgets($signals) === "task\n" && $task = frankenphp_worker_task_receive()) {
    [$stream, $payload] = $task;
    frankenphp_worker_task_update($stream, $payload);
    fclose($stream);
}
