<?php

// amphp 2 where Debian's package php-amphp-amp puts it; in a project: require __DIR__ . '/vendor/autoload.php'.
error_reporting(E_ALL & ~E_DEPRECATED);  // amphp 2 is older than PHP 8.4
require '/usr/share/php/Amp/autoload.php';
require_once '/usr/share/php/Amp/functions.php';
require_once '/usr/share/php/Amp/Internal/functions.php';

use Amp\Deferred;
use Amp\Loop;

Loop::run(function () {
    $inbox = Igor\Worker::current();
    Loop::onReadable($inbox->stream(), function (string $watcher) use ($inbox) {
        while ($job = $inbox->receive(0)) {
            Amp\Promise\rethrow(Amp\call(serve(...), $job));  // begins, and goes on beside the others
        }
        if ($inbox->isStopping()) {
            Loop::cancel($watcher);  // what is under way comes to its end, then the loop does
        }
    });
});

function serve(Igor\Job $job): Generator
{
    try {
        $job->complete(yield fetch($job->payload['url']));
    } catch (RuntimeException $problem) {
        $job->fail($problem);
    }
}

/** The body of what a server answers: connects, asks and reads without ever waiting here. */
function fetch(string $url): Amp\Promise
{
    ['host' => $host, 'port' => $port] = parse_url($url) + ['port' => 80];
    $flags = STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT;
    $socket = @stream_socket_client("tcp://$host:$port", $code, $error, null, $flags)
        ?: throw new RuntimeException("$url: $error");
    stream_set_blocking($socket, false);
    $path = parse_url($url, PHP_URL_PATH) ?: '/';
    $done = new Deferred();
    Loop::onWritable($socket, function (string $watcher) use ($socket, $path, $host) {
        Loop::cancel($watcher);
        fwrite($socket, "GET $path HTTP/1.0\r\nHost: $host\r\n\r\n");
    });
    $answer = '';
    Loop::onReadable($socket, function (string $watcher) use ($socket, $url, $done, &$answer) {
        $answer .= fread($socket, 65536);
        if (feof($socket)) {
            Loop::cancel($watcher);
            $at = strpos($answer, "\r\n\r\n");
            $at === false ? $done->fail(new RuntimeException("$url: no answer")) : $done->resolve(substr($answer, $at + 4));
        }
    });
    return $done->promise();
}
