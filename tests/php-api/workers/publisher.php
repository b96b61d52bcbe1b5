<?php

// Publishes what it is told to.
$inbox = Igor\Worker::current();
frankenphp_worker_set_vars(['n' => 0]);
while ($job = $inbox->receive()) {
    switch ($job->payload['do']) {
        case 'publish':
            frankenphp_worker_set_vars($job->payload['vars']);
            $job->complete();
            break;
        case 'publish lists as maps': // the same arrays, kept by the engine in its other way
            $maps = [];
            foreach ($job->payload['vars'] as $key => $list) {
                $maps[$key] = $list;
                if (is_array($list)) {
                    $maps[$key] = ['x' => 0] + $list;
                    unset($maps[$key]['x']);
                }
            }
            frankenphp_worker_set_vars($maps);
            $job->complete($maps === $job->payload['vars']);
            break;
        case 'publish through the inbox':
            $inbox->publish($job->payload['vars']);
            $job->complete();
            break;
        case 'refused':
            try {
                frankenphp_worker_set_vars(['a' => ['b' => new stdClass()]]);
            } catch (ValueError $e) {
                $job->complete($e->getMessage());
            }
            break;
        case 'die':
            exit(1);
    }
    unset($job);
}
