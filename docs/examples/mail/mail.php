<?php

require __DIR__ . '/smtp.php';

$smtp = null;
$inbox = Igor\Worker::current();
while (!$inbox->isStopping()) {
    $job = $inbox->receive($smtp ? 60.0 : null);
    if (!$job) {
        $smtp = null;  // a minute without a mail: servers hang up on those who say nothing
        continue;
    }
    try {
        // The connection is kept from mail to mail. A server may have closed it meanwhile: once more with a new one.
        if ($smtp && !$smtp->isAlive()) {
            $smtp = null;
        }
        $smtp ??= new Smtp(getenv('SMTP_SERVER'));
        $smtp->send('shop@example.com', $job->payload['to'], $job->payload['subject'], $job->payload['text']);
        $job->complete();
    } catch (MailRefused $problem) {
        $job->fail($problem);  // this mail is bad, the connection is well
    } catch (RuntimeException $problem) {
        $smtp = null;
        $job->fail($problem);
    }
}
