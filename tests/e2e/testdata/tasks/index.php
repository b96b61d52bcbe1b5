<?php

// Runs a scenario, in the request or (?in=worker) in a background worker, and prints its result.

require __DIR__ . '/lib.php';

if (($_GET['in'] ?? '') === 'worker') {
    $task = frankenphp_worker_task_send('relay', ['scenario' => $_GET['scenario']], 20);
    foreach (updates($task) as $update) {
        echo $update['json'];
    }
    return;
}
echo json_encode((require __DIR__ . '/scenarios.php')[$_GET['scenario']](), JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
