<?php

// Publishes one snapshot, of a thousand rows, and that was all.
$signals = frankenphp_worker_get_signaling_stream();
frankenphp_worker_set_vars(['first' => 1, 'rows' => array_map(static fn (int $id): array => ['id' => $id, 'name' => "article $id", 'cents' => 100 + $id], range(1, 1000)), 'last' => 1]);
while (fgets($signals) !== "stop\n") {
}
