<?php

declare(strict_types=1);

namespace Igor;

use Igor\Internal\Backend;
use Igor\Internal\Handle;

/** A task that was received, as the worker sees it. Letting go of it without ending it fails the task. */
final class Job
{
    use Handle;

    public readonly array $payload;

    /** @var resource */
    private $stream;

    private function __construct($stream, array $payload)
    {
        $this->stream = $stream;
        $this->payload = $payload;
    }

    public function update(array $data): void
    {
        Backend::runtime(__METHOD__)->updateJob($this, $this->stream, $data);
    }

    public function complete(mixed $value = null): void
    {
        Backend::runtime(__METHOD__)->complete($this->stream, $value);
    }

    public function fail(string|\Throwable $reason): void
    {
        Backend::runtime(__METHOD__)->fail($this->stream, $reason);
    }

    public function isCancelled(): bool
    {
        return Backend::runtime(__METHOD__)->isCancelled($this->stream);
    }

    /** @return resource */
    public function stream()
    {
        return $this->stream;
    }
}
