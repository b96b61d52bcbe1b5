<?php

declare(strict_types=1);

/**
 * Hands an upload to the `thumbnails` pool and passes each of the task's updates on to the page, as
 * server-sent events: `progress` per size, then one of `done` and `problem`.
 *
 * A task's stream belongs to the request that sent it, so the request that sends is the one that the page
 * listens to. When the visitor leaves, the request ends, its stream is closed, and that cancels the task.
 */

require __DIR__ . '/../photos.php';

$id = $_GET['id'] ?? null;
if (!photos_is_id($id)) {
    http_response_code(400);
    exit('events.php needs the id that upload.php gave');
}

header('Content-Type: text/event-stream');
header('Cache-Control: no-store');
while (ob_get_level() > 0) {
    ob_end_flush();
}
set_time_limit(300);

function event(string $name, array $data): void
{
    echo "event: $name\ndata: ", json_encode($data, JSON_UNESCAPED_SLASHES), "\n\n";
    flush();
}

$incoming = photos_folder('incoming');
$about = @file_get_contents("$incoming/$id.json");
// Whoever removes the file owns the upload: a browser that reconnects does not start the work again.
if ($about === false || !@unlink("$incoming/$id.json")) {
    event('problem', ['message' => 'This upload is gone: it was shown already, or it is too old. Please upload it again.']);
    exit;
}
// Also when the visitor leaves and the script is ended in the middle.
register_shutdown_function(fn() => @unlink("$incoming/$id"));

event('waiting', []);
try {
    $task = frankenphp_worker_task_send('thumbnails', [
        'source' => "$incoming/$id",
        'folder' => photos_folder('pictures') . "/$id",
        'crash' => json_decode($about, true)['crash'],
    ]);
    $problem = null;
    while (($update = frankenphp_worker_task_read($task)) !== null) {
        if (isset($update['problem'])) {
            $problem = $update['problem'];
            continue;
        }
        event('progress', $update + ['url' => "/pictures/$id/{$update['size']}.jpg"]);
    }
    if ($problem === null) {
        event('done', []);
    } else {
        event('problem', ['message' => $problem]);
    }
} catch (RuntimeException $failure) {
    $cause = $failure->getPrevious();
    error_log("photos: task for $id failed: {$failure->getMessage()}" . ($cause ? " ({$cause->getMessage()})" : ''));
    if ($cause instanceof Igor\TaskFailed) {
        $message = match ($cause->getReason()) {
            Igor\Reason::MemoryLimit => 'The worker ran out of memory on this picture and was replaced.',
            Igor\Reason::Shutdown => 'The server is being restarted.',
            Igor\Reason::Deadline => 'This picture took too long.',
            default => 'The worker died in the middle of this picture and was replaced.',
        };
    } else {
        $message = 'No worker could take this picture: ' . $failure->getMessage() . '.';
    }
    event('problem', ['message' => "$message Please try again."]);
}
