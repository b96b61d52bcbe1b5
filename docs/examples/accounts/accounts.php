<?php

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    $hashes = [];
    foreach ($job->payload as $name => $password) {
        $hashes[$name] = password_hash($password, PASSWORD_BCRYPT, ['cost' => 12]);
        $job->update(['name' => $name, 'done' => count($hashes), 'of' => count($job->payload)]);
    }
    $job->complete($hashes);
}
