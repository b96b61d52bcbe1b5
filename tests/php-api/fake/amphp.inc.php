<?php

// A worker that is built on an event loop (amphp 2), the very one that the end-to-end test runs on the server,
// on fake workers.

error_reporting(E_ALL & ~E_DEPRECATED);
[, $package, $worker] = $argv;
require "$package/autoload.php";

$workers = Igor\Testing\FakeWorkers::install();
$workers->worker('loop', $worker);
$send = fn(int $id, int $steps) => Igor\Worker::send('loop', ['id' => $id, 'steps' => $steps, 'pause' => 5]);

$tasks = [1 => $send(1, 3), $send(2, 3), $send(3, 3), $send(4, 3)];
foreach ($tasks as $id => $task) {
    $steps = 0;
    foreach ($task as $update) {
        $steps += isset($update['step']) && $update['id'] === $id ? 1 : 0;
    }
    echo "task $id: $steps steps, with ", $update['most'], ' at once, ', $update['ticks'] > 0 ? 'and the timer ran' : 'but no timer', "\n";
}
$left = $send(5, 1000);
echo $left->read()['step'], "\n";
unset($left);
do {
    $updates = iterator_to_array($send(6, 1));
} while (end($updates)['cancelled'] === 0);
echo "it saw that its sender left\n";
Igor\Testing\FakeWorkers::uninstall();
echo "over\n";
