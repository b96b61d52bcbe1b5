<?php

declare(strict_types=1);

// A worker that answers.
frankenphp_worker_set_vars(['plain' => true]);
$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    try {
        $job->update(['echo' => $job->payload]);
        $job->complete($job->payload);
    } catch (RuntimeException) { // its sender has gone
    }
}
