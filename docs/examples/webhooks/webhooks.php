<?php

require __DIR__ . '/outbox.php';

const MOST_ATTEMPTS = 10;
const LONGEST_PAUSE = 3600.0;

$firstPause = (float) getenv('WEBHOOKS_FIRST_PAUSE');
$db = outbox();
$curl = curl_init();
$inbox = Igor\Worker::current();
while (!$inbox->isStopping()) {
    $due = $db->prepare('SELECT * FROM outbox WHERE attempts < ? AND next <= ? ORDER BY next LIMIT 1');
    $due->execute([MOST_ATTEMPTS, microtime(true)]);
    $row = $due->fetch(PDO::FETCH_ASSOC);
    $due->closeCursor();
    if ($row) {
        $error = deliver($curl, $row);
        if ($error === null) {
            $db->prepare('DELETE FROM outbox WHERE id = ?')->execute([$row['id']]);
        } else {
            // Doubled each time; a random part keeps a thousand of them from coming back at one moment.
            $pause = min($firstPause * 2 ** $row['attempts'], LONGEST_PAUSE) * (1 + lcg_value() / 4);
            $db->prepare('UPDATE outbox SET attempts = attempts + 1, next = ?, error = ? WHERE id = ?')
                ->execute([microtime(true) + $pause, $error, $row['id']]);
            error_log("webhook {$row['id']} to {$row['url']}: $error; again in " . round($pause, 1) . ' s');
        }
        continue;
    }
    $next = $db->query('SELECT min(next) FROM outbox WHERE attempts < ' . MOST_ATTEMPTS)->fetchColumn();
    $sleep = $next === null ? 60.0 : min(60.0, max(0.0, $next - microtime(true)));
    $inbox->receive($sleep)?->complete();  // a task only says: look again
}

function deliver(CurlHandle $curl, array $row): ?string
{
    curl_setopt_array($curl, [
        CURLOPT_URL => $row['url'],
        CURLOPT_PROTOCOLS_STR => 'http,https',
        CURLOPT_POSTFIELDS => $row['body'],
        // The receiver knows by it a delivery that it has had already.
        CURLOPT_HTTPHEADER => ['Content-Type: application/json', "Webhook-Id: {$row['id']}"],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT => 5,
        CURLOPT_TIMEOUT => 15,
    ]);
    if (curl_exec($curl) === false) {
        return curl_error($curl);
    }
    $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
    return $status >= 200 && $status < 300 ? null : "status $status";
}
