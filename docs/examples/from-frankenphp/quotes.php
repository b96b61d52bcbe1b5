<?php

$signals = frankenphp_worker_get_signaling_stream();
while (fgets($signals) === "task\n") {
    while ($received = frankenphp_worker_task_receive()) {
        [$task, $payload] = $received;
        $price = (int) file_get_contents($_SERVER['SUPPLIERS'] . $payload['supplier']);
        frankenphp_worker_task_update($task, ['price' => $price]);
        fclose($task);
        unset($task, $received);
    }
}
