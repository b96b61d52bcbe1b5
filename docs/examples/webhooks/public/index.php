<?php

require __DIR__ . '/../outbox.php';

$db = outbox();
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    // In an application: in the same transaction as the order that the webhook tells of.
    $db->prepare('INSERT INTO outbox (url, body) VALUES (?, ?)')->execute([$_POST['url'], $_POST['body']]);
    http_response_code(202);
    echo "will be delivered\n";
    fastcgi_finish_request();
    // Wakes the worker. If it can't be reached now, it looks by itself within a minute.
    try {
        Igor\Worker::send('webhooks', [], timeout: 1)->await();
    } catch (RuntimeException) {
    }
    exit;
}
header('Content-Type: application/json');
echo json_encode($db->query('SELECT id, attempts, error FROM outbox ORDER BY id')->fetchAll(PDO::FETCH_ASSOC));
