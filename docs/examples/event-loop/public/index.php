<?php

$tasks = [];
foreach ((array) ($_GET['url'] ?? []) as $url) {
    $tasks[$url] = Igor\Worker::send('fetch', ['url' => $url]);
}
header('Content-Type: application/json');
echo json_encode(Igor\Task::all($tasks), JSON_UNESCAPED_SLASHES);
