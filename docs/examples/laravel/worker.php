<?php

use App\Reports;
use Illuminate\Contracts\Console\Kernel;

$app = require __DIR__ . '/bootstrap/app.php';
$app->make(Kernel::class)->bootstrap();

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    try {
        $job->complete($app->make(Reports::class)->make($job->payload['year']));
    } catch (Exception $problem) {
        $job->fail($problem);
    }
    unset($job);
    $app->forgetScopedInstances();  // what one task leaves behind, the next does not see
}
