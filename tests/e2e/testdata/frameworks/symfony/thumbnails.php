<?php

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    try {
        foreach ($job->payload['sizes'] as $size) {
            if ($size <= 0) {
                throw new RangeException("no picture is $size wide");
            }
            $job->update(['size' => $size]);
        }
        $job->complete(count($job->payload['sizes']) . ' done');
    } catch (RangeException $e) {
        $job->fail($e);
    }
    unset($job);
}
