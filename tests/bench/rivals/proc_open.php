<?php

// A process per job: php starts, reads the payload, gives it back and ends.

namespace Bench;

require __DIR__ . '/../site/lib.php';

[, $milliseconds, $name] = $argv;
$payload = payload($name);
echo measure((int) $milliseconds, 3, static function () use ($payload): array {
    $process = proc_open([PHP_BINARY, '-d', 'memory_limit=2G', __DIR__ . '/job.php'], [0 => ['pipe', 'r'], 1 => ['pipe', 'w']], $pipes);
    fwrite($pipes[0], serialize($payload));
    fclose($pipes[0]);
    $answer = unserialize(stream_get_contents($pipes[1]));
    must(proc_close($process) === 0, 'the job failed');
    return $answer;
}, static fn (array $answer) => must($answer === $payload, 'not what was sent'));
