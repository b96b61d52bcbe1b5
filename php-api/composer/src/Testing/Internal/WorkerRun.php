<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

/** @internal One run of a worker's script or function, in a Fiber. */
final class WorkerRun
{
    public ?\Fiber $fiber = null;
    public ?Wait $wait = null;
    /** Has asked for its next signal and was given none since. */
    public bool $asked = false;
    public bool $ready = false;
    public bool $stopping = false;
    /** @var array<int, FakeTask> */
    public array $held = [];
    /** @var list<FakeTask> whose streams it has let go of since it last waited */
    public array $letGo = [];
    /** @var list<FakeTask> the same, while an exception was on its way */
    public array $letGoInFlight = [];
    /** @var resource|null */
    public mixed $signals = null;

    public function __construct(public readonly Pool $pool)
    {
    }

    /** The variables of $_SERVER that belong to this worker. */
    public function server(): array
    {
        $file = is_string($this->pool->worker) && !is_callable($this->pool->worker) ? $this->pool->worker : 'worker';
        return [
            'FRANKENPHP_WORKER' => '1',
            'FRANKENPHP_WORKER_NAME' => $this->pool->name,
            'FRANKENPHP_WORKER_BACKGROUND' => true,
            'argv' => [$file, $this->pool->name],
            'argc' => 2,
        ];
    }
}
