<?php

declare(strict_types=1);

// Receives tasks in every way and does random things with them. Ends now and then, in every way.
const STDOUT_OR_NULL = null;
require __DIR__ . '/moves.inc.php';
mt_srand(crc32(getenv('FUZZ_SEED') . ' ' . hrtime(true)));

final class Keeper
{
    public static array $things = [];
}

$held = [];
$jobs = [];
$signals = frankenphp_worker_get_signaling_stream();
stream_set_blocking($signals, false);
for ($turn = 0; $turn < 400; ++$turn) {
    $read = [$signals];
    $none = null;
    stream_select($read, $none, $none, 0, $held || $jobs ? 500 : 100_000);
    if ($read && fgets($signals) === "stop\n") {
        break;
    }
    make(function () use (&$held, &$jobs) {
        switch (mt_rand(0, 17)) {
            case 0:
            case 1:
            case 2:
                if ($task = frankenphp_worker_task_receive()) {
                    $held[] = $task[0];
                }
                return;
            case 3:
            case 4:
            case 5:
                if ($job = Igor\Worker::current()->receive(mt_rand(0, 1) / 1000)) {
                    $jobs[] = $job;
                }
                return;
            case 6:
                if ($stream = pick($held)) {
                    frankenphp_worker_task_update($stream, some_array());
                }
                return;
            case 7:
                pick($jobs)?->update(some_array());
                return;
            case 8:
                if ($stream = pick($held, true)) {
                    fclose($stream);
                }
                return;
            case 9:
                pick($jobs, true)?->complete(some_value());
                return;
            case 10:
                pick($jobs)?->fail(mt_rand(0, 1) ? 'failed' : new LogicException('outer', 0, new Exception('inner')));
                return;
            case 11: // lets go
                mt_rand(0, 1) ? pick($held, true) : pick($jobs, true);
                return;
            case 12:
                mt_rand(0, 1) ? frankenphp_worker_set_vars(some_array()) : Igor\Worker::current()->publish(some_array());
                return;
            case 13:
                meddle(pick($held) ?? pick($jobs)?->stream());
                pick($jobs)?->isCancelled();
                return;
            case 14:
                Keeper::$things[] = pick($held) ?? pick($jobs);
                return;
            case 15: // a worker is a sender too; of another pool, so that nobody waits for himself
                $task = Igor\Worker::send('plain', ['do' => 'echo'], 0.05, 0.2);
                mt_rand(0, 1) ? $task->read() : $task->cancel();
                return;
            case 16: // the wrong stream for it
                if ($stream = pick($held)) {
                    frankenphp_worker_task_read($stream);
                }
                return;
            default:
                frankenphp_worker_get_vars(mt_rand(0, 1) ? 'plain' : ['plain', 'random'], 0.01);
        }
    });
    switch (mt_rand(0, 150)) {
        case 0:
            exit(mt_rand(0, 3));
        case 1:
            throw new DomainException('the script ends so');
        case 2:
            undefined_function();
        case 3:
            return;
        case 4:
            (new Fiber(function () {
                exit(2);
            }))->start();
        case 5:
            register_shutdown_function(function () use (&$held) {
                make(fn() => ($stream = pick($held)) && frankenphp_worker_task_update($stream, ['late' => 1]));
            });
            exit;
    }
}
