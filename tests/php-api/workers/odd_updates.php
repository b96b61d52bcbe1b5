<?php

declare(strict_types=1);

// Tries to send an object, and says what came of it.
$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    while ($task = frankenphp_worker_task_receive()) {
        try {
            frankenphp_worker_task_update($task[0], ['answer' => new stdClass()]);
        } catch (Throwable $e) {
            frankenphp_worker_task_update($task[0], ['refused' => get_class($e) . ': ' . $e->getMessage()]);
        }
        fclose($task[0]);
    }
}
