<?php

declare(strict_types=1);

// Holds many tasks at once: answers each twice, in the order of a shuffled hand, with stream_select for signals.
$signals = frankenphp_worker_get_signaling_stream();
$held = [];
while (true) {
    $read = [$signals];
    $none = null;
    stream_select($read, $none, $none, $held ? 0 : null, $held ? 1000 : null);
    if ($read && fgets($signals) === "stop\n") {
        break;
    }
    while ($task = frankenphp_worker_task_receive()) {
        $held[] = $task;
        frankenphp_worker_task_update($task[0], ['id' => $task[1]['id']]);
    }
    if (!$read && $held) {
        shuffle($held);
        [$stream, $payload] = array_pop($held);
        frankenphp_worker_task_update($stream, ['id' => $payload['id']]);
        fclose($stream);
    }
}
