<?php

// Gives back what it gets. Waits as new code does, in Igor\Inbox::receive().
require __DIR__ . '/lib.php';

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    $job->update($job->payload);
    $job->complete();
}
