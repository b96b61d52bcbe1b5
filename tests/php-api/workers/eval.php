<?php

declare(strict_types=1);

// Runs the PHP code that each task brings ("run"), with the task's $stream and $payload at hand: for tests
// that want both sides to be read in one place. What it keeps in $GLOBALS is there for the next task.

/** Sends a value and completes the task. */
function reply($stream, mixed $value): void
{
    frankenphp_worker_task_update($stream, ['reply' => $value]);
    fclose($stream);
}

/** Returns once the task is cancelled, by way of stream_select. */
function wait_for_cancel($stream): void
{
    $read = [$stream];
    $none = null;
    if (stream_select($read, $none, $none, 20) !== 1) {
        throw new LogicException('nobody cancelled the task');
    }
}

function run($stream, array $payload = []): bool
{
    if ($stream === null) {
        return false;
    }
    eval($payload['run']);
    return true;
}

$me = bin2hex(random_bytes(4));
$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    // Unpacked at once, so that only run() holds the stream.
    while (run(...(frankenphp_worker_task_receive() ?? [null]))) {
    }
}
