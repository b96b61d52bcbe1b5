<?php

$inbox = Igor\Worker::current();
while (!$inbox->isStopping()) {
    $file = getenv('RATES');
    $inbox->publish(json_decode(file_get_contents($file[0] === '/' ? $file : __DIR__ . "/$file"), true, flags: JSON_THROW_ON_ERROR));
    $inbox->receive(60)?->complete();
}
