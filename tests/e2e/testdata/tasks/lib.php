<?php

// What the scenarios share.

function send(string $name, string $do, array $more = [], float $timeout = 20)
{
    return frankenphp_worker_task_send($name, ['do' => $do] + $more, $timeout);
}

/** All updates of a task, to its completion. */
function updates($task): array
{
    for ($all = []; ($update = frankenphp_worker_task_read($task)) !== null;) {
        $all[] = $update;
    }
    return $all;
}

/** What the function throws, as text: class, message, and the same of the previous exception. */
function thrown(callable $do): string
{
    try {
        $do();
    } catch (Throwable $e) {
        $text = get_class($e) . ': ' . $e->getMessage();
        if ($p = $e->getPrevious()) {
            $text .= ' <- ' . get_class($p) . ' ' . $p->getReason()->name;
            if ($p->getErrorClass() !== null) {
                $text .= " {$p->getErrorClass()}";
            }
            if ($p->getErrorMessage() !== null && $p->getReason() !== Igor\Reason::Exited) {
                $text .= ': ' . $p->getErrorMessage();
            }
        }
        return $text;
    }
    return 'nothing was thrown';
}

/** A file that a worker writes, once it is there. */
function written(string $file): string
{
    for ($i = 0; $i < 10000 && !(is_file($file) && filesize($file) > 0); ++$i) {
        usleep(1000);
        clearstatcache();
    }
    $content = file_get_contents($file);
    unlink($file);
    return $content;
}

function temporary(): string
{
    return sys_get_temp_dir() . '/igor-e2e-' . bin2hex(random_bytes(8));
}
