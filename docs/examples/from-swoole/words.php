<?php

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    $job->complete(str_word_count($job->payload['text']));
}
