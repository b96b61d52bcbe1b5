<?php

// What the two sides of the Messenger have in common: the message and the transports.

namespace Bench;

use Symfony\Component\Messenger\Bridge\Redis\Transport\RedisTransportFactory;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;
use Symfony\Component\Messenger\Transport\TransportInterface;

error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);
require '/usr/share/php/Symfony/Component/Messenger/autoload.php';
require '/usr/share/php/Symfony/Component/Messenger/Bridge/Redis/autoload.php';
require __DIR__ . '/../site/lib.php';

final class Message
{
    public function __construct(public readonly array $payload)
    {
    }
}

function transport(string $socket, string $stream): TransportInterface
{
    return (new RedisTransportFactory())->createTransport("redis://$socket?stream=$stream", ['stream' => $stream, 'delete_after_ack' => true], new PhpSerializer());
}
