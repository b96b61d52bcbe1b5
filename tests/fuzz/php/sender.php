<?php

declare(strict_types=1);

// Sends tasks to random workers and does random things with them, for so many moves. Every task has a deadline, so
// that nothing waits for ever: a run that hangs is a finding.
define('STDOUT_OR_NULL', STDOUT);
require __DIR__ . '/moves.inc.php';
mt_srand((int) getenv('FUZZ_SEED'));

$streams = [];
$tasks = [];
$workers = ['random', 'random', 'random', 'plain', 'full', 'broken', 'nobody'];
for ($turn = 0; $turn < 300; ++$turn) {
    make(function () use (&$streams, &$tasks, $workers) {
        $worker = $workers[array_rand($workers)];
        switch (mt_rand(0, 15)) {
            case 0:
            case 1:
                $streams[] = frankenphp_worker_task_send($worker, some_array(), mt_rand(0, 30) / 1000);
                return;
            case 2:
            case 3:
                $tasks[] = Igor\Worker::send($worker, some_array(), mt_rand(0, 30) / 1000, mt_rand(1, 100) / 1000);
                return;
            case 4:
            case 5:
                if ($stream = pick($streams)) {
                    frankenphp_worker_task_read($stream);
                }
                return;
            case 6:
                pick($tasks)?->read();
                return;
            case 7:
                if ($stream = pick($streams, true)) {
                    fclose($stream);
                }
                return;
            case 8:
                pick($tasks)?->cancel();
                return;
            case 9:
                mt_rand(0, 1) ? pick($streams, true) : pick($tasks, true);
                return;
            case 10:
                meddle(pick($streams) ?? pick($tasks)?->stream());
                return;
            case 11:
                pick($tasks)?->state();
                if ($task = pick($tasks)) {
                    foreach ($task as $update) {
                        if (mt_rand(0, 2) === 0) {
                            break;
                        }
                    }
                }
                return;
            case 12:
                $some = array_filter($tasks, fn() => mt_rand(0, 1) === 1);
                match (mt_rand(0, 3)) {
                    0 => Igor\Task::all($some),
                    1 => Igor\Task::any($some),
                    2 => Igor\Task::race((fn() => yield from $some)()),
                    3 => pick($tasks)?->await(),
                };
                return;
            case 13:
                $read = array_slice($streams, 0, 5);
                foreach (array_slice($tasks, 0, 3) as $task) {
                    $stream = $task->stream();
                    if (is_resource($stream)) {
                        $read[] = $stream;
                    }
                }
                $read = array_filter($read, is_resource(...));
                $none = null;
                if ($read) {
                    @stream_select($read, $none, $none, 0, mt_rand(0, 3000)); // a filtered stream has no descriptor
                }
                return;
            case 14: // the wrong stream for it
                if ($stream = pick($streams)) {
                    frankenphp_worker_task_update($stream, []);
                }
                return;
            default:
                frankenphp_worker_get_vars(mt_rand(0, 1) ? $worker : ['plain', $worker], mt_rand(0, 20) / 1000);
        }
    });
    if (count($streams) > 20) {
        array_shift($streams);
    }
    if (count($tasks) > 20) {
        array_shift($tasks);
    }
}
// Half of the runs leave all that to the end of the script.
if (mt_rand(0, 1)) {
    $streams = $tasks = [];
}
echo "done\n";
