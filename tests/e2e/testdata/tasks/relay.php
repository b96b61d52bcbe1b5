<?php

// A background worker that does what a request would: it sends tasks to others.

require __DIR__ . '/lib.php';

$scenarios = require __DIR__ . '/scenarios.php';
$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    while ([$stream, $payload] = frankenphp_worker_task_receive()) {
        $json = json_encode($scenarios[$payload['scenario']](), JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
        frankenphp_worker_task_update($stream, ['json' => $json]);
        fclose($stream);
    }
}
