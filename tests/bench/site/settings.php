<?php

// Publishes one snapshot, a small one, and that was all.
$signals = frankenphp_worker_get_signaling_stream();
frankenphp_worker_set_vars(['first' => 1, 'last' => 1]);
while (fgets($signals) !== "stop\n") {
}
