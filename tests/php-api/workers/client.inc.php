<?php

declare(strict_types=1);

/** Sends a task and prints what becomes of it. */
function show(string $worker, array $payload, float $timeout = 10.0): void
{
    try {
        $task = frankenphp_worker_task_send($worker, $payload, $timeout);
        while (($update = frankenphp_worker_task_read($task)) !== null) {
            echo 'update ', json_encode($update), "\n";
        }
        echo "completed\n";
        fclose($task);
    } catch (Throwable $e) {
        describe($e);
    }
}

function describe(Throwable $e): void
{
    echo get_class($e), ': ', $e->getMessage(), "\n";
    if (($cause = $e->getPrevious()) instanceof Igor\TaskFailed) {
        echo '  because ', $cause->getReason()->name;
        if ($cause->getReason() === Igor\Reason::Exited) {
            echo ' with status ', $cause->getExitStatus();
        }
        // What the script says of itself; reasons without a file are told by Igor alone.
        if ($cause->getErrorFile() !== null) {
            echo ': ', ltrim($cause->getErrorClass() . ' '), strtok($cause->getErrorMessage(), "\n"), ' in ',
                basename($cause->getErrorFile());
        }
        echo "\n";
    } elseif ($cause) {
        echo '  because ', get_class($cause), ': ', $cause->getMessage(), "\n";
    }
}

/** Waits for a file that a worker writes, and prints what is in it. */
function show_file(string $file): void
{
    for ($i = 0; $i < 500; ++$i) {
        clearstatcache();
        if (is_file($file) && ($content = file_get_contents($file)) !== '') {
            echo $content, "\n";
            unlink($file);
            return;
        }
        usleep(10_000);
    }
    echo basename($file), " was not written\n";
}

/** The end of a task in a few words: "completed", or why not. Reads and drops its updates. */
function outcome($task): string
{
    try {
        while (frankenphp_worker_task_read($task) !== null) {
        }
        return 'completed';
    } catch (RuntimeException $e) {
        $cause = $e->getPrevious();
        if (!$cause instanceof Igor\TaskFailed) {
            return get_class($e) . ': ' . $e->getMessage();
        }
        $reason = $cause->getReason();
        return $reason->name . ($reason === Igor\Reason::Exited ? '(' . $cause->getExitStatus() . ')' : '');
    }
}

/** Calls it and prints what it returns or throws. */
function attempt(string $title, callable $what): void
{
    echo $title, ': ';
    try {
        $result = $what();
        echo is_scalar($result) || $result === null || is_array($result) ? json_encode($result) : get_debug_type($result), "\n";
    } catch (Throwable $e) {
        describe($e);
    }
}
