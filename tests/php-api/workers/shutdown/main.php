<?php

declare(strict_types=1);

// Started in a process of its own: hands work to `sender`, which sends tasks to the other workers and writes
// down what becomes of them, and ends while all that is going on.
require __DIR__ . '/../client.inc.php';

$task = start($argv[1], ['file' => $argv[2]], 'sender');
$ready = frankenphp_worker_task_read($task);
echo json_encode($ready), "\n";
// Only now does the process end; the task that `sender` works on is cancelled with this script.
