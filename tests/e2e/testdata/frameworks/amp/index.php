<?php

// Sends tasks and watches all of them at once. ?cancel: leaves the last one after its first step.
$tasks = $steps = [];
for ($id = 1; $id <= $_GET['tasks']; ++$id) {
    $tasks[$id] = frankenphp_worker_task_send('loop', ['id' => $id, 'steps' => 4, 'pause' => 20], 20);
    $steps[$id] = 0;
}
$sum = ['most' => 0, 'ticks' => 0, 'cancelled' => 0];
$order = [];
while ($tasks) {
    $read = $tasks;
    $none = null;
    if (!stream_select($read, $none, $none, 20)) {
        exit('nothing came for 20 s');
    }
    foreach ($read as $id => $task) {
        $update = frankenphp_worker_task_read($task);
        if ($update === null) {
            unset($tasks[$id]);
        } elseif (isset($update['step'])) {
            $steps[$id] = $update['step'];
            $order[] = $id;
            if (isset($_GET['cancel']) && $id === (int) $_GET['tasks']) {
                fclose($task);
                unset($tasks[$id]);
            }
        } else {
            foreach ($update as $what => $n) {
                $sum[$what] = max($sum[$what], $n);
            }
        }
    }
}
// Steps of different tasks come in turns when they are served at the same time.
$turns = count(array_filter(array_keys($order), fn($i) => $i > 0 && $order[$i] !== $order[$i - 1]));
echo json_encode(['steps' => $steps, 'turns' => $turns] + $sum);
