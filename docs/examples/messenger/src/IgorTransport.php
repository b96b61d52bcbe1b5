<?php

use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Transport\Sender\SenderInterface;
use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;

/** Sends messages to a pool of background workers, each as a task. */
final class IgorTransport implements SenderInterface
{
    /** @var Igor\Task[] */
    private array $tasks = [];

    public function __construct(private readonly string $pool, private readonly SerializerInterface $serializer)
    {
    }

    public function send(Envelope $envelope): Envelope
    {
        if ($this->tasks === []) {
            register_shutdown_function($this->finish(...));
        }
        $this->tasks[] = Igor\Worker::send($this->pool, $this->serializer->encode($envelope));
        return $envelope;
    }

    /** A task ends with its sender. So the visitor gets the response first, and then the tasks are waited for. */
    private function finish(): void
    {
        fastcgi_finish_request();
        foreach ($this->tasks as $task) {
            try {
                $task->await();
            } catch (Igor\TaskFailed $failed) {
                error_log("message failed: {$failed->getMessage()}");
            }
        }
        $this->tasks = [];
    }
}
