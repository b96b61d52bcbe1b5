<?php

declare(strict_types=1);

// Collects two tasks, completes the first and exits with the second in hand.
$signals = frankenphp_worker_get_signaling_stream();
$held = [];
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    while ($task = frankenphp_worker_task_receive()) {
        frankenphp_worker_task_update($task[0], ['got' => $task[1]['who']]);
        $held[] = $task[0];
    }
    if (count($held) === 2) {
        fclose($held[0]);
        exit(3);
    }
}
