<?php

// A background worker on the function API. Each task says what is to be done with it.

require __DIR__ . '/lib.php';

History::open('workers');
$name = $_SERVER['FRANKENPHP_WORKER_NAME'];
$run = bin2hex(random_bytes(8));
History::write("run $name $run");

function perform($stream, array $task): bool
{
    $id = $task['id'];
    check_seal($task, $id, 0);
    $updates = 0;
    try {
        for (; $updates < $task['updates']; ++$updates) {
            frankenphp_worker_task_update($stream, sealed($id, $updates, str_repeat('u', $task['size'])));
        }
        while ($task['do'] === 'hold') {
            $read = [$stream];
            $none = null;
            stream_select($read, $none, $none, 60);
            if (feof($stream)) {
                History::write("heard $id $updates");
                return false;
            }
        }
    } catch (RuntimeException $e) {
        if ($e->getMessage() !== 'task closed') {
            throw $e;
        }
        History::write("heard $id $updates");
        return false;
    }
    switch ($task['do']) {
        case 'complete':
        case 'leave':
            History::write("complete $id $updates");
            return true;
        case 'exit':
            History::write("die $id $updates");
            exit(3);
        case 'throw':
            History::write("die $id $updates");
            throw new DomainException('soak: thrown on purpose');
        case 'fatal':
            History::write("die $id $updates");
            eval('final class Soak implements Countable {}');
        case 'memory':
            History::write("die $id $updates");
            str_repeat('soak', 1 << 40);
        case 'let go':
            History::write("die $id $updates");
            return false;
        case 'publish':
            frankenphp_worker_set_vars(sealed('snapshot', $task['value'], str_repeat(chr(65 + $task['value'] % 26), 500)));
            History::write("complete $id $updates");
            return true;
    }
    throw new LogicException("nobody knows how to do '{$task['do']}'");
}

$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    while ([$stream, $task] = frankenphp_worker_task_receive()) {
        History::write("got {$task['id']} $name $run");
        if (perform($stream, $task)) {
            fclose($stream);
        }
        unset($stream);
        if ($task['do'] === 'leave') {
            return;
        }
    }
}
