<?php

declare(strict_types=1);

// The worker's side of the object API, from within: each task asks for a look at something.
$inbox = Igor\Worker::current();
$held = [];
$say = function (callable $do): string {
    try {
        return json_encode($do());
    } catch (Throwable $e) {
        return get_class($e) . ': ' . $e->getMessage();
    }
};
while ($job = $inbox->receive()) {
    switch ($job->payload['do']) {
        case 'inbox':
            $job->complete([
                'others' => [$say(fn() => $inbox->receive(0)), $say(fn() => $inbox->receive(0.01))],
                'no time' => [$say(fn() => $inbox->receive(-1)), $say(fn() => $inbox->receive(NAN)), $say(fn() => $inbox->receive(INF))],
                'another inbox' => [Igor\Worker::current() == $inbox, $say(fn() => Igor\Worker::current()->receive(0))],
                'stream' => $inbox->stream() === frankenphp_worker_get_signaling_stream(),
                'stopping' => $inbox->isStopping(),
                'publish' => $say(fn() => $inbox->publish(["bad" => tmpfile()])),
            ]);
            break;
        case 'hold':
            $held[$job->payload['name']] = $job;
            break;
        case 'complete held': // in the order that the task says
            foreach ($job->payload['names'] as $name) {
                $held[$name]->complete($name);
                unset($held[$name]);
            }
            $job->complete(count($held));
            break;
        case 'look at held':
            $one = $held[$job->payload['name']];
            $read = [$one->stream()];
            $none = null;
            $seconds = $job->payload['wait'] ?? 0;
            $job->complete(['cancelled' => $one->isCancelled(), 'readable' => stream_select($read, $none, $none, $seconds), 'end' => feof($one->stream()),
                'update' => $say(fn() => $one->update(['late' => true])), 'complete' => $say(fn() => $one->complete('late')), 'fail' => $say(fn() => $one->fail('late')),
                'then' => $one->isCancelled(), 'payload' => $one->payload]);
            unset($held[$job->payload['name']]);
            break;
        case 'after the end':
            $job->update(['before' => 1]);
            $refused = $say(fn() => $job->complete(['bad' => $say]));
            $job->update(['refused' => $refused, 'still open' => !$job->isCancelled()]);
            $job->complete('done');
            $said = ['update' => $say(fn() => $job->update([])), 'complete' => $say(fn() => $job->complete()), 'fail' => $say(fn() => $job->fail('no')),
                'cancelled' => $job->isCancelled(), 'stream' => is_resource($job->stream()), 'payload' => $job->payload];
            $inbox->publish($said);
            break;
        case 'functions':
            frankenphp_worker_task_update($job->stream(), ['by' => 'function']);
            $job->update(['by' => 'method']);
            fclose($job->stream());
            break;
        case 'fail':
            $job->fail(new RuntimeException('the outer', 3, new LogicException('the inner')));
            break;
    }
    unset($job);
}
