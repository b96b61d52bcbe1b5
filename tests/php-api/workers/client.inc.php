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

/** Sends code to the worker of eval.php. */
function start(string $code, array $with = [], string $worker = 'eval', float $timeout = 10.0)
{
    return frankenphp_worker_task_send($worker, ['run' => $code] + $with, $timeout);
}

/** The same, and waits for what it replies. */
function ask(string $code, array $with = [], string $worker = 'eval'): mixed
{
    $task = start($code, $with, $worker);
    $reply = null;
    while (($update = frankenphp_worker_task_read($task)) !== null) {
        $reply = $update['reply'];
    }
    return $reply;
}

/** Runs a script of tests/php-api in a process of its own; prints its output, and how it ended. */
function run_process(string $script, array $env, array $arguments = [], float $limit = 20.0): float
{
    $begin = hrtime(true);
    $options = array_map(fn($name, $value) => "$name=" . $value, array_keys($env), $env);
    $command = ['/usr/bin/env', ...$options, getenv('TEST_PHP_EXECUTABLE'), '-n', $script, ...$arguments];
    $process = proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['pipe', 'w']], $pipes);
    $texts = ['', ''];
    $open = [1 => $pipes[1], 2 => $pipes[2]];
    while ($open) {
        $read = $open;
        $none = null;
        $left = $limit - (hrtime(true) - $begin) / 1e9;
        if ($left <= 0 || stream_select($read, $none, $none, (int) ceil($left)) === 0) {
            proc_terminate($process, 9);
            echo "killed: it did not end within $limit s\n";
            break;
        }
        foreach ($read as $number => $pipe) {
            $chunk = fread($pipe, 65536);
            $texts[$number - 1] .= $chunk;
            if ($chunk === '' || $chunk === false) {
                unset($open[$number]);
            }
        }
    }
    echo $texts[0], $texts[1] === '' ? '' : "stderr: {$texts[1]}";
    $status = proc_close($process);
    echo "exit status $status\n";
    return (hrtime(true) - $begin) / 1e9;
}
