<?php

declare(strict_types=1);

// Sends three updates and dies.
$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    if ($task = frankenphp_worker_task_receive()) {
        for ($i = 1; $i <= 3; ++$i) {
            frankenphp_worker_task_update($task[0], ['n' => $i]);
        }
        throw new DomainException('after three');
    }
}
