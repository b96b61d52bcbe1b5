<?php

// Publishes one snapshot, and that was all.
$signals = frankenphp_worker_get_signaling_stream();
frankenphp_worker_set_vars(['first' => 1, 'rows' => array_fill(0, 10, 'a row of the snapshot'), 'last' => 1]);
while (fgets($signals) !== "stop\n") {
}
