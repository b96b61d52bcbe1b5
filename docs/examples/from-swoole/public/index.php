<?php

while (frankenphp_handle_request(function (): void {
    header('Content-Type: application/json');
    if ($_SERVER['REQUEST_METHOD'] === 'POST') {
        $task = Igor\Worker::send('words', ['text' => file_get_contents('php://input')]);
        echo json_encode(['words' => $task->await()]);
    } else {
        echo json_encode(['dollars' => 100 * frankenphp_worker_get_vars('rates')['USD']]);
    }
})) {
}
