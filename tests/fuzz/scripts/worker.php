<?php

// A background worker that does nothing well.
$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    while ($task = frankenphp_worker_task_receive()) {
        fclose($task[0]);
        unset($task);
    }
}
