<?php

// A background worker on the object API, with many jobs in hand: it completes them in turns.

require __DIR__ . '/lib.php';

History::open('workers');
$name = $_SERVER['FRANKENPHP_WORKER_NAME'];
$run = bin2hex(random_bytes(8));
History::write("run $name $run");

$inbox = Igor\Worker::current();
$held = [];
while (!$inbox->isStopping() || $held) {
    $job = $inbox->receive($held ? 0.0 : null);
    if ($job) {
        $id = $job->payload['id'];
        History::write("got $id $name $run");
        check_seal($job->payload, $id, 0);
        $held[] = $job;
        if (count($held) < 3) {
            continue;
        }
    }
    foreach ($held as $job) {
        $id = $job->payload['id'];
        if ($job->payload['do'] === 'fail') {
            History::write("die $id 0");
            $job->fail(new DomainException('soak: failed on purpose'));
            continue;
        }
        History::write("complete $id 0");
        $job->complete(sealed($id, 1, 'value'));
    }
    $held = [];
    unset($job);
}
