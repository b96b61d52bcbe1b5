<?php

declare(strict_types=1);

// Fails until a file says that it may start.
if (!is_file(getenv('ALLOWED'))) {
    throw new DomainException('not allowed to start');
}
$signals = frankenphp_worker_get_signaling_stream();
while (fgets($signals) === "task\n") {
    while ($task = frankenphp_worker_task_receive()) {
        frankenphp_worker_task_update($task[0], ['started' => true]);
        fclose($task[0]);
    }
}
