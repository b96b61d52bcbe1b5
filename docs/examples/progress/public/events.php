<?php

header('Content-Type: text/event-stream');
header('Cache-Control: no-store');
set_time_limit(0);
while (ob_get_level()) {
    ob_end_flush();
}

try {
    $task = Igor\Worker::send('report', ['year' => (int) $_GET['year']]);
    foreach ($task as $update) {
        event('progress', $update);
    }
    event('done', $task->await());
} catch (RuntimeException $problem) {
    error_log("report: {$problem->getMessage()}");
    event('problem', ['message' => 'The report could not be made. Please try again.']);
}

function event(string $name, array $data): void
{
    echo "event: $name\ndata: ", json_encode($data), "\n\n";
    flush();
}
