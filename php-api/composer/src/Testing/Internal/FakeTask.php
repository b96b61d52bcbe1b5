<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

use Igor\Reason;
use Igor\TaskState;

/** @internal A task, between its two streams. It ends in exactly one state. */
final class FakeTask
{
    public TaskState $state = TaskState::Pending;
    /** @var list<array> */
    public array $updates = [];
    public mixed $result = null;
    public ?Failure $failure = null;
    public ?WorkerRun $holder = null;
    public ?float $deadline = null;

    public function __construct(public readonly Pool $pool, public readonly array $payload)
    {
    }

    public function ended(): bool
    {
        return $this->state !== TaskState::Pending && $this->state !== TaskState::Running;
    }

    public function end(TaskState $state, ?Failure $failure = null, mixed $result = null): void
    {
        // A worker that was busy past the deadline is late, whatever it says.
        if ($failure?->reason !== Reason::Deadline && $this->deadline !== null && ($this->pool->clock)() >= $this->deadline) {
            $this->end(TaskState::TimedOut, new Failure(Reason::Deadline, "the task's time ran out"));
        }
        if ($this->ended()) {
            return;
        }
        $this->state = $state;
        $this->failure = $failure;
        $this->result = $result;
        $this->pool->forget($this);
        if ($this->holder !== null) {
            unset($this->holder->held[spl_object_id($this)]);
        }
    }

    public function complete(mixed $value = null): void
    {
        $this->end(TaskState::Completed, null, $value);
    }

    public function fail(Failure $failure): void
    {
        $this->end($failure->reason === Reason::Deadline ? TaskState::TimedOut : TaskState::Failed, $failure);
    }

    /** The sender is no longer interested: what it has not read is dropped. */
    public function cancel(): void
    {
        if (!$this->ended()) {
            $this->updates = [];
            $this->end(TaskState::Cancelled, new Failure(Reason::Abandoned, 'cancelled by its sender'));
        }
    }
}
