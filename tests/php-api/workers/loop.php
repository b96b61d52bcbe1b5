<?php

declare(strict_types=1);

// An event loop over everything that a worker can wait for. Tasks stay open until what they asked for has come.
$signals = frankenphp_worker_get_signaling_stream();
[$mine, $echo] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$held = $sent = $seen = [];
$asks_socket = null;
while (true) {
    $read = ['signals' => $signals, 'socket' => $mine];
    foreach ($held as $name => $stream) {
        $read["held $name"] = $stream;
    }
    foreach ($sent as $name => $stream) {
        $read["sent $name"] = $stream;
    }
    $none = null;
    stream_select($read, $none, $none, null);
    foreach ($read as $what => $stream) {
        [$what, $name] = explode(' ', $what) + [1 => ''];
        if ($what === 'signals') {
            if (fgets($signals) === "stop\n") {
                return;
            }
            while ($task = frankenphp_worker_task_receive()) {
                [$stream, $payload] = $task;
                frankenphp_worker_task_update($stream, ['got' => $payload['name']]);
                $held[$payload['name']] = $stream;
                if (isset($payload['relay'])) {
                    $sent[$payload['name']] = frankenphp_worker_task_send('eval', ['run' => $payload['relay']]);
                }
                if (isset($payload['socket'])) {
                    $asks_socket = $payload['name'];
                    fwrite($echo, $payload['socket']);
                }
                if (isset($payload['seen'])) {
                    // Answered at the next turn, when what came before it was seen.
                    $sent[$payload['name']] = frankenphp_worker_task_send('eval', ['run' => 'fclose($stream);']);
                }
            }
        } elseif ($what === 'socket') {
            frankenphp_worker_task_update($held[$asks_socket], ['reply' => fread($mine, 8192)]);
            fclose($held[$asks_socket]);
            unset($held[$asks_socket]);
        } elseif ($what === 'held') {
            $seen[] = (feof($stream) ? 'cancelled ' : 'readable ') . $name;
            unset($held[$name]);
        } elseif ($what === 'sent') {
            $update = frankenphp_worker_task_read($stream);
            if ($update === null) {
                if ($name === 'seen') {
                    frankenphp_worker_task_update($held[$name], ['seen' => $seen]);
                }
                fclose($held[$name]);
                unset($held[$name], $sent[$name]);
            } else {
                frankenphp_worker_task_update($held[$name], $update);
            }
        }
    }
}
