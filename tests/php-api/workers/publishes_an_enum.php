<?php

// Publishes a snapshot with an enum that its readers do not know yet, then whatever it is sent.
enum OnlyHere
{
    case Yes;
}

$inbox = Igor\Worker::current();
$inbox->publish(['is' => 'the older', 'enum' => OnlyHere::Yes, 'rest' => array_map(strval(...), range(1, 2000))]);
while ($job = $inbox->receive()) {
    $inbox->publish($job->payload);
    $job->complete();
}
