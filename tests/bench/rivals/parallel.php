<?php

// ext-parallel: one runtime that has started before, and a channel each way.

namespace Bench;

require __DIR__ . '/../site/lib.php';

[, $milliseconds, $name] = $argv;
$payload = payload($name);
$there = \parallel\Channel::make('there', 16);
$back = \parallel\Channel::make('back', 16);
$runtime = new \parallel\Runtime(__DIR__ . '/../site/lib.php');
$runtime->run(static function (\parallel\Channel $there, \parallel\Channel $back): void {
    while (($task = $there->recv()) !== false) {
        $back->send($task);
    }
}, [$there, $back]);
echo measure((int) $milliseconds, 10, static function () use ($there, $back, $payload): array {
    $there->send($payload);
    return $back->recv();
}, static fn (array $answer) => must($answer === $payload, 'not what was sent'));
$there->send(false);
$runtime->close();
