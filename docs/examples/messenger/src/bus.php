<?php

// Debian's php-symfony-messenger; in a project: require __DIR__ . '/../vendor/autoload.php'.
error_reporting(E_ALL & ~E_DEPRECATED);  // Symfony 5.4 is older than PHP 8.4
require_once '/usr/share/php/Symfony/Component/Messenger/autoload.php';
require_once __DIR__ . '/SendReceipt.php';
require_once __DIR__ . '/SendReceiptHandler.php';
require_once __DIR__ . '/IgorTransport.php';

use Psr\Container\ContainerInterface;
use Symfony\Component\Messenger\Handler\HandlersLocator;
use Symfony\Component\Messenger\MessageBus;
use Symfony\Component\Messenger\Middleware\HandleMessageMiddleware;
use Symfony\Component\Messenger\Middleware\SendMessageMiddleware;
use Symfony\Component\Messenger\Transport\Sender\SendersLocator;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;

/** What messenger.yaml says in an application: SendReceipt goes to the transport, and has this handler. */
function bus(): MessageBus
{
    $transports = new class implements ContainerInterface {
        private ?IgorTransport $receipts = null;

        public function get(string $id): IgorTransport
        {
            return $this->receipts ??= new IgorTransport($id, new PhpSerializer());
        }

        public function has(string $id): bool
        {
            return $id === 'receipts';
        }
    };
    return new MessageBus([
        new SendMessageMiddleware(new SendersLocator([SendReceipt::class => ['receipts']], $transports)),
        new HandleMessageMiddleware(new HandlersLocator([SendReceipt::class => [new SendReceiptHandler()]])),
    ]);
}
