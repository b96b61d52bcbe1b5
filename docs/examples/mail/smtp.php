<?php

/** The server does not want this mail; another may be welcome. */
final class MailRefused extends RuntimeException
{
}

/** Just enough SMTP to send plain text. For TLS, passwords and attachments take a library. */
final class Smtp
{
    /** @var resource */
    private $stream;

    public function __construct(string $server)
    {
        $this->stream = @stream_socket_client("tcp://$server", $code, $error, 10)
            ?: throw new RuntimeException("no mail server at $server: $error");
        stream_set_timeout($this->stream, 30);
        $this->answer();
        $this->say('EHLO localhost');
    }

    public function isAlive(): bool
    {
        try {
            $this->say('NOOP');
            return true;
        } catch (RuntimeException) {
            return false;
        }
    }

    public function send(string $from, string $to, string $subject, string $text): void
    {
        try {
            $this->say("MAIL FROM:<$from>");
            $this->say("RCPT TO:<$to>");
            $this->say('DATA');
        } catch (MailRefused $refused) {
            $this->say('RSET');
            throw $refused;
        }
        $lines = ["From: <$from>", "To: <$to>", 'Subject: ' . mb_encode_mimeheader($subject), 'Date: ' . date(DATE_RFC2822),
            'MIME-Version: 1.0', 'Content-Type: text/plain; charset=UTF-8', 'Content-Transfer-Encoding: 8bit', '', ...preg_split('/\R/', $text)];
        // A line of one dot would end the mail.
        $this->say(preg_replace('/^\./m', '..', implode("\r\n", $lines)) . "\r\n.");
    }

    private function say(string $what): void
    {
        if (@fwrite($this->stream, "$what\r\n") === false) {
            throw new RuntimeException('the mail server has hung up');
        }
        $this->answer();
    }

    private function answer(): void
    {
        do {
            $line = fgets($this->stream);
            if ($line === false) {
                throw new RuntimeException('the mail server has hung up');
            }
        } while (($line[3] ?? '') === '-');
        match ($line[0]) {
            '2', '3' => null,
            '5' => throw new MailRefused(rtrim($line)),
            default => throw new RuntimeException(rtrim($line)),
        };
    }
}
