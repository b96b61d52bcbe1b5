<?php

require __DIR__ . '/src/bus.php';

use Symfony\Component\Messenger\Exception\HandlerFailedException;
use Symfony\Component\Messenger\Stamp\ConsumedByWorkerStamp;
use Symfony\Component\Messenger\Stamp\ReceivedStamp;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;

$bus = bus();
$serializer = new PhpSerializer();
$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    try {
        // The stamp says that it has come: the bus handles it, and does not send it again.
        $bus->dispatch($serializer->decode($job->payload)->with(new ReceivedStamp('receipts'), new ConsumedByWorkerStamp()));
        $job->complete();
    } catch (HandlerFailedException $problem) {
        $job->fail($problem->getPrevious());
    }
}
