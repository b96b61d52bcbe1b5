<?php

// The object API's worker: does with each job what its payload says, and publishes how many it did.

$inbox = Igor\Worker::current();
$inbox->publish(['done' => $done = 0]);
while ($job = $inbox->receive()) {
    $p = $job->payload;
    switch ($p['do']) {
        case 'value':
            $job->complete($p['value']);
            break;
        case 'updates':
            for ($i = 1; $i <= $p['to']; ++$i) {
                $job->update(['n' => $i]);
            }
            $job->complete($p['to']);
            break;
        case 'fail':
            $job->fail(new DomainException('failed on purpose'));
            break;
        case 'throw':
            throw new DomainException('thrown on purpose');
        case 'until cancelled':
            $job->update(['started' => true]);
            while (!$job->isCancelled()) {
                usleep(1000);
            }
            file_put_contents($p['file'], 'cancelled');
            break;
        case 'publish':
            $inbox->publish(['done' => ++$done, 'list' => range(1, 1000), 'binary' => "\0\xff"]);
            $job->complete();
            break;
    }
    unset($job);
}
