<?php

// A background worker on an event loop that knows nothing of Igor: amphp 2 as Debian packages it, whose
// loop runs on stream_select(). It serves many tasks at once, each a coroutine of its own, while timers run.

error_reporting(E_ALL & ~E_DEPRECATED); // of amphp 2 under PHP 8.4: parameters that are null by default
require '/usr/share/php/Amp/autoload.php';
require_once '/usr/share/php/Amp/functions.php';
require_once '/usr/share/php/Amp/Internal/functions.php';

use Amp\Delayed;
use Amp\Loop;

Loop::run(function () {
    $signals = frankenphp_worker_get_signaling_stream();
    stream_set_blocking($signals, false);
    $state = (object) ['held' => 0, 'most' => 0, 'ticks' => 0, 'cancelled' => 0];
    $heart = Loop::repeat(5, function () use ($state) {
        $state->ticks++;
    });

    $serve = function ($stream, array $payload) use ($state) {
        $state->most = max($state->most, ++$state->held);
        $left = null;
        // The task's stream becomes readable when its sender has gone.
        $watch = Loop::onReadable($stream, function () use (&$left) {
            $left = true;
        });
        try {
            for ($step = 1; $step <= $payload['steps'] && !$left; ++$step) {
                yield new Delayed($payload['pause']);
                if (!$left) {
                    frankenphp_worker_task_update($stream, ['id' => $payload['id'], 'step' => $step]);
                }
            }
            if ($left) {
                $state->cancelled++;
                return;
            }
            frankenphp_worker_task_update($stream, ['most' => $state->most, 'ticks' => $state->ticks, 'cancelled' => $state->cancelled]);
        } finally {
            Loop::cancel($watch);
            $state->held--;
        }
        fclose($stream);
    };

    Loop::onReadable($signals, function (string $watcher) use ($signals, $serve, $heart) {
        while (($line = fgets($signals)) !== false) {
            if ($line === "stop\n") {
                Loop::cancel($watcher);
                Loop::cancel($heart);
                return;
            }
            while ($task = frankenphp_worker_task_receive()) {
                Amp\Promise\rethrow(Amp\call($serve, ...$task));
            }
        }
    });
});
