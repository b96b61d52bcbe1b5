<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

use Igor\Inbox;
use Igor\Job;
use Igor\Overflow;
use Igor\Reason;
use Igor\Task;
use Igor\TaskState;
use Igor\Testing\WorkerEnds;

/**
 * The fake workers of one test: pools by name, their runs as Fibers, and the clock. Whoever waits lets the
 * others go on; see Scheduler.
 *
 * @internal
 */
final class Runtime extends Scheduler
{
    private const Aborted = 'background worker exited without completing the task';
    private const NotSeconds = 'must be a finite number of seconds, 0 or more';

    // --- Configuration --------------------------------------------------------------------------------

    public function add(string $name, callable|string $worker, array $options): void
    {
        if (is_string($worker) && !is_callable($worker) && str_starts_with($worker, '.')) {
            $worker = realpath($worker) ?: $worker;
        }
        if ($name === '') {
            $this->catchAll = [$worker, ['num' => 0, 'maxThreads' => 1] + $options, $options['maxThreads'] ?? 16];
            return;
        }
        if (isset($this->pools[$name])) {
            throw new \LogicException("there is a fake worker named \"$name\" already");
        }
        $this->pools[$name] = new Pool($name, $worker, $options, $this->now(...));
    }

    public function publishAs(string $name, array $vars): void
    {
        if (!isset($this->pools[$name])) {
            $this->add($name, static function (Inbox $inbox): void {
                while ($job = $inbox->receive()) {
                    $job->fail('this fake worker only has vars');
                    unset($job);
                }
            }, ['num' => 1, 'maxThreads' => null, 'queue' => 0, 'overflowReject' => false, 'updates' => 16, 'maxPayload' => 64 << 20, 'timeout' => null]);
        }
        $this->pools[$name]->snapshot = Values::copy($vars, '$vars', PHP_INT_MAX);
    }

    public function starts(string $name): int
    {
        return $this->pools[$name]->starts ?? 0;
    }

    // --- Senders --------------------------------------------------------------------------------------

    /** @return resource */
    public function send(string $function, string $name, array $payload, float $timeout, ?float $deadline = null)
    {
        $this->checkSeconds($function, 3, 'timeout', $timeout);
        if ($deadline !== null && (!is_finite($deadline) || $deadline <= 0)) {
            throw new \ValueError("$function(): Argument #4 (\$deadline) must be a finite number of seconds above 0, or null");
        }
        $pool = $this->find($function, $name);
        $task = new FakeTask($pool, Values::copy($payload, '$payload', $pool->options['maxPayload']));
        $this->accept($pool, $task, $this->now() + $timeout);
        $seconds = $deadline ?? $pool->options['timeout'];
        if ($seconds !== null) {
            $task->deadline = $this->now() + $seconds;
        }
        $pool->pending[] = $task;
        $pool->open[$task] = true;
        return StreamWrapper::open($this, StreamWrapper::Sender, $task);
    }

    private function accept(Pool $pool, FakeTask $task, float $by): void
    {
        $refusals = $pool->refusals;
        $this->ensureStarted($pool);
        $pool->blocked++;
        try {
            // Workers that start, and those that are about to ask again, come first.
            $this->runAll(static fn() => $pool->hasPlace() || $pool->refusals !== $refusals);
            if (!$pool->hasPlace() && count($pool->runs) < $pool->maxThreads() && $pool->refusals === $refusals) {
                $this->start($pool);
                $this->runAll(static fn() => $pool->hasPlace() || $pool->refusals !== $refusals);
            }
            if ($pool->options['overflowReject'] && !$pool->hasPlace() && $pool->refusals === $refusals) {
                throw new Overflow("background worker \"$pool->name\" is full (overflow reject)");
            }
            $accepted = $this->wait("background worker \"$pool->name\" to accept a task",
                static fn() => $pool->hasPlace() || $pool->refusals !== $refusals, $by);
        } finally {
            $pool->blocked--;
        }
        if (!$accepted) {
            throw new \RuntimeException("timeout waiting for background worker \"$pool->name\" to accept task");
        }
        if (!$pool->hasPlace()) {
            throw new \RuntimeException(self::Aborted, 0, $pool->lastFailure->exception());
        }
    }

    public function readOrAbort(string $function, mixed $stream): ?array
    {
        $task = $this->taskOf($function, $stream, StreamWrapper::Sender);
        $this->awaitUpdate($task);
        if ($task->updates !== []) {
            return array_shift($task->updates);
        }
        if ($task->state === TaskState::Completed) {
            return null;
        }
        throw new \RuntimeException(self::Aborted, 0, $task->failure->exception());
    }

    public function read(Task $object, mixed $stream): ?array
    {
        $task = $this->taskOfObject($object, $stream);
        $this->awaitUpdate($task);
        return $task->updates !== [] ? array_shift($task->updates) : $this->outcome($task, false);
    }

    public function await(Task $object, mixed $stream): mixed
    {
        $task = $this->taskOfObject($object, $stream);
        $this->wait("the end of a task of \"{$task->pool->name}\"", static function () use ($task): bool {
            $task->updates = [];
            return $task->ended();
        });
        return $this->outcome($task, true);
    }

    private function awaitUpdate(FakeTask $task): void
    {
        $this->wait("an update of \"{$task->pool->name}\"", static fn() => $task->updates !== [] || $task->ended());
    }

    private function outcome(FakeTask $task, bool $value): mixed
    {
        if ($task->state !== TaskState::Completed) {
            throw $task->failure->exception();
        }
        return $value ? $task->result : null;
    }

    public function cancel(mixed $stream): void
    {
        StreamWrapper::of($stream)?->task->cancel();
    }

    public function state(mixed $stream): TaskState
    {
        return StreamWrapper::of($stream)?->task->state ?? TaskState::Cancelled;
    }

    public function all(string $function, iterable $tasks): array
    {
        $members = $this->members($function, $tasks);
        $values = $members;
        try {
            while ($members !== []) {
                $key = $this->nextEnd($members);
                $task = $this->taskOfObject($members[$key], $members[$key]->stream());
                unset($members[$key]);
                $values[$key] = $this->outcome($task, true);
            }
        } finally {
            $this->cancelAll($members);
        }
        return $values;
    }

    public function first(string $function, iterable $tasks, bool $completed): mixed
    {
        $members = $this->members($function, $tasks);
        if ($members === []) {
            throw new \ValueError("$function(): Argument #1 (\$tasks) must contain at least one Igor\\Task");
        }
        try {
            while (true) {
                $key = $this->nextEnd($members);
                $task = $this->taskOfObject($members[$key], $members[$key]->stream());
                unset($members[$key]);
                if ($task->state === TaskState::Completed || !$completed || $members === []) {
                    return $this->outcome($task, true);
                }
            }
        } finally {
            $this->cancelAll($members);
        }
    }

    /** @return array<Task> */
    private function members(string $function, iterable $tasks): array
    {
        $members = [];
        foreach ($tasks as $key => $task) {
            if (!$task instanceof Task) {
                throw new \TypeError("$function(): Argument #1 (\$tasks) must contain only Igor\\Task objects, " . get_debug_type($task) . ' given');
            }
            $this->taskOfObject($task, $task->stream());
            $members[$key] = $task;
        }
        return $members;
    }

    /** @param array<Task> $members */
    private function nextEnd(array $members): int|string
    {
        $ended = null;
        $this->wait('the end of one of ' . count($members) . ' tasks', static function () use ($members, &$ended): bool {
            foreach ($members as $key => $member) {
                $task = StreamWrapper::of($member->stream())?->task;
                if ($task !== null) {
                    $task->updates = [];
                }
                if ($task === null || $task->ended()) {
                    $ended = $key;
                    return true;
                }
            }
            return false;
        });
        return $ended;
    }

    /** @param array<Task> $members */
    private function cancelAll(array $members): void
    {
        foreach ($members as $member) {
            $this->cancel($member->stream());
        }
    }

    public function vars(string $function, string|array $names, float $timeout): array
    {
        $this->checkSeconds($function, 2, 'timeout', $timeout);
        $by = $this->now() + $timeout;
        if (is_string($names)) {
            return $this->snapshot($function, $names, $by);
        }
        $all = [];
        foreach ($names as $name) {
            if (!is_string($name)) {
                throw new \TypeError("$function(): Argument #1 (\$name) must contain only names of workers as strings, " . get_debug_type($name) . ' given');
            }
            $all[$name] = $this->snapshot($function, $name, $by);
        }
        return $all;
    }

    private function snapshot(string $function, string $name, float $by): array
    {
        $pool = $this->find($function, $name);
        if ($pool->snapshot === null) {
            $refusals = $pool->refusals;
            $this->ensureStarted($pool);
            $come = $this->wait("worker \"$name\" to publish its vars", static fn() => $pool->snapshot !== null || $pool->refusals !== $refusals, $by);
            if (!$come) {
                throw new \RuntimeException("timeout waiting for background worker \"$name\" to publish its vars");
            }
            if ($pool->snapshot === null) {
                throw new \RuntimeException(self::Aborted, 0, $pool->lastFailure->exception());
            }
        }
        return $pool->snapshot;
    }

    // --- Background workers -----------------------------------------------------------------------------

    public function worker(string $function): WorkerRun
    {
        return $this->current() ?? throw new \RuntimeException("$function() can only be called in a background worker");
    }

    /** A worker asks for its next signal. */
    public function ask(WorkerRun $run): void
    {
        $run->ready = true;
        $run->asked = $run->pool->pending === [];
    }

    /** @return resource */
    public function signals(string $function)
    {
        $run = $this->worker($function);
        if (!is_resource($run->signals)) {
            $run->signals = StreamWrapper::open($this, StreamWrapper::Signals, $run);
        }
        return $run->signals;
    }

    public function receive(string $function): ?array
    {
        $run = $this->worker($function);
        $this->ask($run);
        if ($run->stopping || $run->pool->pending === []) {
            return null;
        }
        $task = array_shift($run->pool->pending);
        $run->asked = false;
        $task->state = TaskState::Running;
        $task->holder = $run;
        $run->held[spl_object_id($task)] = $task;
        return [StreamWrapper::open($this, StreamWrapper::Received, $task), $task->payload];
    }

    public function nextJob(string $function, ?float $timeout): ?Job
    {
        $run = $this->worker($function);
        if ($timeout !== null) {
            $this->checkSeconds($function, 1, 'timeout', $timeout);
        }
        $this->ask($run);
        $this->wait("a task for worker \"{$run->pool->name}\"", static fn() => $run->stopping || $run->pool->pending !== [],
            $timeout === null ? null : $this->now() + $timeout);
        $received = $this->receive($function);
        return $received === null ? null : (fn() => new Job(...$received))->bindTo(null, Job::class)();
    }

    public function updateStream(string $function, mixed $stream, array $data): void
    {
        $this->worker($function);
        $this->update($this->taskOf($function, $stream, StreamWrapper::Received), $data);
    }

    public function updateJob(Job $job, mixed $stream, array $data): void
    {
        $this->update($this->taskOfObject($job, $stream), $data);
    }

    private function update(FakeTask $task, array $data): void
    {
        $copy = Values::copy($data, '$data', $task->pool->options['maxPayload']);
        $most = $task->pool->options['updates'];
        $this->wait("the sender of a task of \"{$task->pool->name}\" to read its updates",
            static fn() => $task->ended() || count($task->updates) < $most || $task->holder?->stopping);
        if ($task->ended() || count($task->updates) >= $most) {
            throw new \RuntimeException('task closed');
        }
        $task->updates[] = $copy;
    }

    public function complete(mixed $stream, mixed $value): void
    {
        $task = StreamWrapper::of($stream)?->task;
        if ($task !== null) {
            $task->complete(Values::copy($value, '$value', $task->pool->options['maxPayload']));
            fclose($stream);
        }
    }

    public function fail(mixed $stream, string|\Throwable $reason): void
    {
        $task = StreamWrapper::of($stream)?->task;
        if ($task !== null) {
            $task->fail(match (true) {
                is_string($reason) => new Failure(Reason::Abandoned, $reason),
                $reason instanceof WorkerEnds => Failure::of($reason),
                default => Failure::of($reason, 0),
            });
            fclose($stream);
        }
    }

    public function isCancelled(mixed $stream): bool
    {
        $task = StreamWrapper::of($stream)?->task;
        // A loop that only looks whether it is still wanted lets its sender go on.
        if ($task !== null && !$task->ended()) {
            $this->pause();
        }
        return $task !== null && $task->ended();
    }

    public function publish(string $function, array $vars): void
    {
        $run = $this->worker($function);
        $copy = Values::copy($vars, '$vars', $run->pool->options['maxPayload']);
        $run->ready = true;
        if ($run->pool->snapshot !== $copy) {
            $run->pool->snapshot = $copy;
        }
    }

    // --- Objects, arguments -------------------------------------------------------------------------------

    public function taskObject(mixed $stream): Task
    {
        return (fn() => new Task($stream))->bindTo(null, Task::class)();
    }

    public function inboxObject(): Inbox
    {
        return (fn() => new Inbox())->bindTo(null, Inbox::class)();
    }

    private function taskOfObject(object $object, mixed $stream): FakeTask
    {
        return StreamWrapper::of($stream)?->task ?? throw new \Error('the stream of this ' . $object::class . ' is closed');
    }

    private function taskOf(string $function, mixed $stream, string $kind): FakeTask
    {
        $argument = "$function(): Argument #1 (\$stream) must be";
        if (!is_resource($stream)) {
            throw new \TypeError(gettype($stream) === 'resource (closed)' ? "$argument an open task stream; this one is closed or no stream"
                : "$argument of type resource, " . (is_bool($stream) ? var_export($stream, true) : get_debug_type($stream)) . ' given');
        }
        if (get_resource_type($stream) !== 'stream') {
            throw new \TypeError("$argument an open task stream; this one is closed or no stream");
        }
        $wrapper = StreamWrapper::of($stream);
        $from = $kind === StreamWrapper::Sender ? 'frankenphp_worker_task_send()' : 'frankenphp_worker_task_receive()';
        if ($wrapper?->task === null) {
            $type = $wrapper === null ? stream_get_meta_data($stream)['stream_type'] : $wrapper->kind;
            throw new \TypeError("$argument a task stream from $from, $type stream given");
        }
        if ($wrapper->kind !== $kind) {
            $side = $kind === StreamWrapper::Sender ? "the worker's side" : "the sender's side";
            throw new \TypeError("$argument a stream from $from, this is $side of a task");
        }
        return $wrapper->task;
    }

    private function checkSeconds(string $function, int $argument, string $name, float $seconds): void
    {
        if (!is_finite($seconds) || $seconds < 0) {
            throw new \ValueError("$function(): Argument #$argument (\$$name) " . self::NotSeconds);
        }
    }

    private function find(string $function, string $name): Pool
    {
        $problem = match (true) {
            $name === '' => 'must not be empty',
            strlen($name) > 255 => "must be a worker's name of at most 255 bytes, " . strlen($name) . ' given',
            str_contains($name, "\0") => 'must not contain any null bytes',
            default => null,
        };
        if ($problem !== null) {
            throw new \ValueError("$function(): Argument #1 (\$name) $problem");
        }
        if (isset($this->pools[$name])) {
            return $this->pools[$name];
        }
        if ($this->catchAll !== null) {
            [$worker, $options, $most] = $this->catchAll;
            if ($this->catchAllMade >= $most) {
                throw new \RuntimeException("background worker \"$name\" cannot be started: the catch-all runs as many names as its max_threads allows");
            }
            $this->catchAllMade++;
            return $this->pools[$name] = new Pool($name, $worker, $options, $this->now(...));
        }
        throw new \RuntimeException($this->pools === [] ? 'no background worker configured in this php_server'
            : "no background worker named \"$name\" in this php_server or the global block, and no catch-all");
    }
}
