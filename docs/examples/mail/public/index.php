<?php

$to = $_POST['to'] ?? '';
if (!filter_var($to, FILTER_VALIDATE_EMAIL)) {
    http_response_code(400);
    exit("to must be an e-mail address\n");
}
$task = Igor\Worker::send('mail', ['to' => $to, 'subject' => 'Welcome', 'text' => "Good to see you.\n.\nYours, the shop"]);
echo "Thank you!\n";
fastcgi_finish_request();  // the visitor has the page; the task needs its sender a little longer
try {
    $task->await();
} catch (Igor\TaskFailed $failed) {
    error_log("mail to $to: {$failed->getMessage()}");
}
