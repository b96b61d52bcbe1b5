<?php

// Gives back what it gets, as the task's value.
require __DIR__ . '/lib.php';

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    $job->complete($job->payload);
}
