<?php

declare(strict_types=1);

// The object API's worker: does with each job what its payload says.
$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    $payload = $job->payload;
    switch ($payload['do'] ?? 'nothing') {
        case 'value':
            $job->complete($payload['value']);
            $job->complete('a second end is ignored');
            $job->fail('so is this');
            break;
        case 'updates':
            for ($i = 1; $i <= $payload['count']; ++$i) {
                $job->update(['n' => $i]);
            }
            $job->complete($payload['count']);
            break;
        case 'fail':
            $job->fail($payload['message']);
            break;
        case 'update and throw':
            $job->update(['n' => 1]);
            throw new DomainException('after an update');
        case 'fail with exception':
            $job->fail(new DomainException('what went wrong', 7));
            break;
        case 'sleep':
            usleep((int) ($payload['seconds'] * 1e6));
            $job->complete($payload['seconds']);
            break;
        case 'until cancelled':
            $job->update(['started' => true]);
            for ($i = 0; $i < 500 && !$job->isCancelled(); ++$i) {
                usleep(10_000);
            }
            file_put_contents($payload['file'], $job->isCancelled() ? 'cancelled' : 'never cancelled');
            break;
        case 'throw':
            throw new DomainException('out of the loop');
        case 'readonly':
            try {
                $job->payload = [];
            } catch (Error $e) {
                $job->complete($e->getMessage());
            }
            break;
        case 'close stream':
            fclose($job->stream());
            break;
        case 'let go':
            break;
    }
    unset($job);
}
