<?php

// The consumer: gives back what it gets on the other transport. It does not sleep between two looks, as it would by default.

namespace Bench;

use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Handler\HandlersLocator;
use Symfony\Component\Messenger\MessageBus;
use Symfony\Component\Messenger\Middleware\HandleMessageMiddleware;
use Symfony\Component\Messenger\Worker;

require __DIR__ . '/messenger.inc.php';

$replies = transport($argv[1], 'replies');
$handle = static function (Message $message) use ($replies): void {
    $replies->send(new Envelope($message));
};
$bus = new MessageBus([new HandleMessageMiddleware(new HandlersLocator([Message::class => [$handle]]))]);
(new Worker(['jobs' => transport($argv[1], 'jobs')], $bus))->run(['sleep' => 0]);
