<?php

declare(strict_types=1);

// Looks at the signaling stream around one task.
$signals = frankenphp_worker_get_signaling_stream();
while (true) {
    $line = fgets($signals);
    if ($line === "stop\n") {
        break;
    }
    // Level-triggered: until the task is taken the stream says so again.
    $twice = fgets($signals);
    [$stream] = frankenphp_worker_task_receive();
    $read = [$signals];
    $none = null;
    $quiet = stream_select($read, $none, $none, 0);
    stream_set_blocking($signals, false);
    $nonblocking = fgets($signals);
    stream_set_blocking($signals, true);
    frankenphp_worker_task_update($stream, [
        'line' => $line,
        'same' => $signals === frankenphp_worker_get_signaling_stream(),
        'twice' => $twice,
        'quiet' => $quiet,
        'nonblocking' => $nonblocking,
        'feof' => feof($signals),
    ]);
    fclose($stream);
}
