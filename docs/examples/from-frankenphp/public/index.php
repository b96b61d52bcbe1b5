<?php

// Booted once, asked many times.
$suppliers = ['north', 'south', 'west'];

while (frankenphp_handle_request(function () use ($suppliers): void {
    $tasks = [];
    foreach ($suppliers as $supplier) {
        $tasks[$supplier] = frankenphp_worker_task_send('quotes', ['supplier' => $supplier]);
    }
    $prices = [];
    foreach ($tasks as $supplier => $task) {
        $prices[$supplier] = frankenphp_worker_task_read($task)['price'];
        fclose($task);
    }
    header('Content-Type: application/json');
    echo json_encode($prices);
})) {
}
