<?php

declare(strict_types=1);

// Does one task and ends, in the way that the task says.
$signals = frankenphp_worker_get_signaling_stream();
if (fgets($signals) === "task\n") {
    static $runs = 0;
    [$stream, $payload] = frankenphp_worker_task_receive();
    frankenphp_worker_task_update($stream, ['run' => ++$runs]);
    fclose($stream);
    if ($payload['end'] === 'exit 0') {
        exit(0);
    }
    if ($payload['end'] === 'exit 1') {
        exit(1);
    }
    if ($payload['end'] === 'throw') {
        throw new DomainException('after its task');
    }
}
