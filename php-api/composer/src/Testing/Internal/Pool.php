<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

/** @internal The workers of one name, and the tasks on their way to them. */
final class Pool
{
    /** @var list<WorkerRun> that live */
    public array $runs = [];
    /** @var list<FakeTask> accepted, not yet taken */
    public array $pending = [];
    /** @var \WeakMap<FakeTask, true> not ended */
    public \WeakMap $open;
    public int $blocked = 0;
    public int $starts = 0;
    public int $refusals = 0;
    public ?Failure $lastFailure = null;
    public ?array $snapshot = null;

    /** @param array{num: int, maxThreads: ?int, queue: int, overflowReject: bool, updates: int, maxPayload: int, timeout: ?float} $options */
    public function __construct(
        public readonly string $name,
        public readonly mixed $worker,
        public readonly array $options,
        public readonly \Closure $clock,
    ) {
        $this->open = new \WeakMap();
    }

    public function maxThreads(): int
    {
        return $this->options['maxThreads'] ?? max($this->options['num'], 1);
    }

    /** Workers that have asked for their next signal. */
    public function waiting(): int
    {
        return count(array_filter($this->runs, static fn(WorkerRun $run) => $run->asked && !$run->stopping));
    }

    public function hasPlace(): bool
    {
        return count($this->pending) < $this->options['queue'] + $this->waiting();
    }

    public function forget(FakeTask $task): void
    {
        unset($this->open[$task]);
        $place = array_search($task, $this->pending, true);
        if ($place !== false) {
            array_splice($this->pending, $place, 1);
        }
    }
}
