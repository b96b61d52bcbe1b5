<?php

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    try {
        $sum = 0;
        for ($month = 1; $month <= 12; ++$month) {
            usleep(100_000);  // the work
            $sum += $month * $job->payload['year'];
            $job->update(['month' => $month, 'of' => 12]);
        }
        $job->complete(['sum' => $sum]);
    } catch (RuntimeException $problem) {
        if (!$job->isCancelled()) {
            throw $problem;
        }
        error_log("nobody waits for {$job->payload['year']} any more, left in month $month");
    }
}
