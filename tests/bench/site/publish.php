<?php

// Publishes a new snapshot every millisecond: the same number at both ends of it, so that readers see that it is whole.
$signals = frankenphp_worker_get_signaling_stream();
for ($version = 1;; ++$version) {
    frankenphp_worker_set_vars(['first' => $version, 'rows' => array_fill(0, 10, 'a row of the snapshot'), 'last' => $version]);
    $read = [$signals];
    $write = $except = [];
    if (stream_select($read, $write, $except, 0, 1000) > 0 && fgets($signals) === "stop\n") {
        break;
    }
}
