<?php

require __DIR__ . '/src/Kernel.php';

$kernel = new App\Kernel(getenv('APP_ENV'), false);
$kernel->boot();
$container = $kernel->getContainer();

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    try {
        $job->complete($container->get(App\Reports::class)->make($job->payload['year']));
    } catch (Exception $problem) {
        $job->fail($problem);
    }
    unset($job);
    $container->get('reset')->reset();  // what one task leaves behind, the next does not see
}
