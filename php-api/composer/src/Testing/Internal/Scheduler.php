<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

use Igor\Reason;

/**
 * Who goes on when somebody waits, and what time it is.
 *
 * A worker's run that waits suspends its Fiber. Where the test itself waits (or a Fiber of its own), the runs
 * that can go on do so right there, in the order in which they were started, until what is waited for is
 * there. When none can, the clock jumps to the earliest time at which somebody's wait, or some task's
 * deadline, is over. When there is no such time, everybody would wait for ever.
 *
 * A run in stream_select() waits in real time, because the libraries that use it have clocks of their own: it
 * goes on when nobody else can, and then sleeps there.
 *
 * @internal
 */
abstract class Scheduler
{
    /** @var array<string, Pool> */
    protected array $pools = [];
    /** @var array{callable|string, array, int}|null */
    protected ?array $catchAll = null;
    protected int $catchAllMade = 0;
    /** @var list<WorkerRun> that run now, innermost last */
    private array $stack = [];
    private float $skew = 0.0;
    /** @var array{resource, resource, resource}|null */
    private ?array $descriptors = null;
    /** Whether the cycle collector is to be switched on again. */
    private bool $collects = false;

    public function now(): float
    {
        return hrtime(true) / 1e9 + $this->skew;
    }

    public function current(): ?WorkerRun
    {
        return $this->stack === [] ? null : $this->stack[count($this->stack) - 1];
    }

    /** Whether it was there before the deadline. */
    public function wait(string $what, \Closure $ready, ?float $deadline = null, bool $real = false): bool
    {
        $this->settle();
        if ($ready()) {
            return true;
        }
        $wait = new Wait($what, $ready, $deadline, $real);
        $run = $this->current();
        if ($run !== null && \Fiber::getCurrent() === $run->fiber) {
            while (!$ready()) {
                if ($deadline !== null && $this->now() >= $deadline) {
                    return false;
                }
                $run->wait = $wait;
                // A real wait is ended by its turn: it goes on in stream_select().
                if (\Fiber::suspend() === 'your turn') {
                    return $ready();
                }
            }
            return true;
        }
        while (!$wait->over($this->now())) {
            if (!$this->runOne() && !$wait->over($this->now()) && !$this->passTime($wait)) {
                if ($real) {
                    return false;
                }
                $this->deadlock($wait);
            }
        }
        return $ready();
    }

    /** Lets runs go on until none can, or the condition holds. */
    public function runAll(?\Closure $until = null): void
    {
        $run = $this->current();
        if ($run !== null && \Fiber::getCurrent() === $run->fiber) {
            // One round of everybody else: a worker cannot run the others below itself.
            if ($until === null || !$until()) {
                $this->pause();
            }
            return;
        }
        while (($until === null || !$until()) && $this->runOne());
    }

    /** Lets everybody else go on once. */
    public function pause(): void
    {
        $run = $this->current();
        if ($run !== null && \Fiber::getCurrent() === $run->fiber) {
            $run->wait = new Wait('its turn', static fn() => true, null);
            \Fiber::suspend();
        } else {
            $this->runOne();
        }
    }

    public function advance(float $seconds): void
    {
        $end = $this->now() + $seconds;
        $this->runAll();
        while (($next = $this->nextTime()) !== null && $next <= $end) {
            $this->skew += max(0.0, $next - $this->now());
            $this->expire();
            $this->runAll();
        }
        $this->skew += max(0.0, $end - $this->now());
        $this->expire();
        $this->runAll();
    }

    /** Tells the runs of a pool, or of all, to stop, and lets them. */
    public function stop(?string $name = null): void
    {
        $pools = $name === null ? $this->pools : array_intersect_key($this->pools, [$name => true]);
        foreach ($pools as $pool) {
            foreach ($pool->pending as $task) {
                $task->fail(new Failure(Reason::Shutdown, 'the worker was told to stop before it took the task'));
            }
            foreach ($pool->runs as $run) {
                $run->stopping = true;
            }
        }
        $this->runAll();
        foreach ($pools as $pool) {
            foreach ($pool->runs as $run) {
                // It does not listen: what it holds fails, as after the grace period.
                foreach ($run->held as $task) {
                    $task->fail(new Failure(Reason::Shutdown, 'the script was stopped because it did not end by itself in time'));
                }
                $this->drop($run);
            }
            $pool->runs = [];
        }
        if ($name === null && $this->collects) {
            $this->collects = false;
            gc_enable();
        }
    }

    /** Unwinds a Fiber that does not end by itself. What it says and throws on the way is of no interest. */
    private function drop(WorkerRun $run): void
    {
        set_error_handler(static fn() => true);
        $this->stack[] = $run;
        try {
            $run->fiber = null;
        } catch (\Throwable) {
        } finally {
            array_pop($this->stack);
            restore_error_handler();
        }
    }

    // --- Runs ---------------------------------------------------------------------------------------------

    protected function ensureStarted(Pool $pool): void
    {
        while (count($pool->runs) < max(1, $pool->options['num'])) {
            $this->start($pool);
        }
    }

    protected function start(Pool $pool): void
    {
        // PHP (8.4, and most likely others) counts the variables of a file that was included in a Fiber twice
        // when it collects cycles while that Fiber is suspended, and may free what is still used.
        if (!is_callable($pool->worker) && gc_enabled()) {
            gc_disable();
            $this->collects = true;
        }
        $run = new WorkerRun($pool);
        $run->fiber = new \Fiber(static function () use ($pool): void {
            self::script($pool->worker, $pool->name);
        });
        $run->wait = new Wait('its start', static fn() => true, null);
        $pool->runs[] = $run;
        $pool->starts++;
    }

    private static function script(callable|string $worker, string $name): void
    {
        if (is_callable($worker)) {
            $worker(\Igor\Worker::current());
            return;
        }
        if (!is_file($worker)) {
            throw new \Igor\Testing\WorkerEnds(Reason::FatalError, "the worker's script $worker is not there");
        }
        (static function (string $__file, array $argv): void {
            $argc = count($argv);
            require $__file;
        })($worker, [$worker, $name]);
    }

    /** Lets one run that can go on do so. */
    private function runOne(): bool
    {
        $this->expire();
        $now = $this->now();
        foreach ($this->pools as $pool) {
            foreach ($pool->runs as $place => $run) {
                if (!in_array($run, $this->stack, true) && !$run->wait->real && $run->wait->over($now)
                    || !in_array($run, $this->stack, true) && $run->wait->real && ($run->wait->ready)()) {
                    // The next turn is another's.
                    array_splice($pool->runs, $place, 1);
                    $pool->runs[] = $run;
                    $this->resume($run);
                    return true;
                }
            }
        }
        return false;
    }

    private function resume(WorkerRun $run, ?string $with = null): void
    {
        $this->stack[] = $run;
        $server = $_SERVER;
        $_SERVER = $run->server() + $_SERVER;
        $error = null;
        $run->wait = new Wait('what its own Fiber::suspend() waits for', static fn() => false, null);
        try {
            $run->fiber->isStarted() ? $run->fiber->resume($with) : $run->fiber->start();
        } catch (\Throwable $error) {
        } finally {
            $_SERVER = $server;
            array_pop($this->stack);
        }
        $this->letGo($run, $error);
        if ($run->fiber->isTerminated()) {
            $this->ended($run, $error);
        }
    }

    /** What to make of tasks whose streams the current run has dropped, before it waits. */
    private function settle(): void
    {
        $run = $this->current();
        if ($run !== null) {
            $this->letGo($run, null);
        }
    }

    private function letGo(WorkerRun $run, ?\Throwable $error): void
    {
        foreach ($run->letGoInFlight as $task) {
            $task->fail($error !== null ? Failure::of($error) : new Failure(Reason::UncaughtException, '', 255));
        }
        foreach ($run->letGo as $task) {
            $task->fail($run->stopping ? new Failure(Reason::Shutdown, 'the worker was told to stop, and let go of the task')
                : new Failure(Reason::Abandoned, "the worker let go of the task's stream without fclose()"));
        }
        $run->letGo = $run->letGoInFlight = [];
    }

    private function ended(WorkerRun $run, ?\Throwable $error): void
    {
        $pool = $run->pool;
        $failure = match (true) {
            $error !== null => Failure::of($error),
            $run->stopping => new Failure(Reason::Shutdown, 'the worker was told to stop, and let go of the task'),
            default => new Failure(Reason::Exited, 'the script ended with exit status 0'),
        };
        foreach ($run->held as $task) {
            $task->fail($failure);
        }
        $run->signals = null;
        $pool->runs = array_values(array_filter($pool->runs, static fn(WorkerRun $other) => $other !== $run));
        $pool->lastFailure = $failure;
        if (!$run->ready && $pool->runs === []) {
            $pool->refusals++;
            foreach ($pool->pending as $task) {
                $task->fail($failure);
            }
        } elseif (!$run->stopping && ($pool->pending !== [] || $pool->blocked > 0) && $pool->runs === []) {
            $this->start($pool);
        }
    }

    // --- Time -----------------------------------------------------------------------------------------------

    private function expire(): void
    {
        $now = $this->now();
        foreach ($this->pools as $pool) {
            foreach ($pool->open as $task => $_) {
                if ($task->deadline !== null && $now >= $task->deadline) {
                    $task->fail(new Failure(Reason::Deadline, "the task's time ran out"));
                }
            }
        }
    }

    /** Nobody can go on: makes it later, or lets somebody sleep. False when that would not help anybody. */
    private function passTime(Wait $mine): bool
    {
        $sleeper = null;
        foreach ($this->pools as $pool) {
            foreach ($pool->runs as $run) {
                if ($run->wait->real && !in_array($run, $this->stack, true)
                    && ($sleeper === null || ($run->wait->deadline ?? INF) < ($sleeper->wait->deadline ?? INF))) {
                    $sleeper = $run;
                }
            }
        }
        $next = $this->nextTime();
        if (!$mine->real && $mine->deadline !== null) {
            $next = min($next ?? INF, $mine->deadline);
        }
        if ($sleeper !== null && $sleeper->wait->deadline !== null && $sleeper->wait->deadline <= ($next ?? INF)) {
            $this->resume($sleeper, 'your turn');
            return true;
        }
        if ($next === null) {
            return false;
        }
        if ($mine->real && $mine->deadline !== null && $mine->deadline <= $next) {
            return false;
        }
        $this->skew += max(0.0, $next - $this->now());
        return true;
    }

    private function nextTime(): ?float
    {
        $times = [];
        foreach ($this->pools as $pool) {
            foreach ($pool->runs as $run) {
                if (!$run->wait->real && $run->wait->deadline !== null && !in_array($run, $this->stack, true)) {
                    $times[] = $run->wait->deadline;
                }
            }
            foreach ($pool->open as $task => $_) {
                if ($task->deadline !== null) {
                    $times[] = $task->deadline;
                }
            }
        }
        return $times === [] ? null : min($times);
    }

    private function deadlock(Wait $mine): never
    {
        $text = "fake workers: everybody would wait for ever. Here: for $mine->what";
        foreach ($this->pools as $pool) {
            foreach ($pool->runs as $run) {
                $text .= in_array($run, $this->stack, true) ? "; worker \"$pool->name\" waits in a Fiber of its own, which cannot let its sender go on"
                    : "; worker \"$pool->name\": for {$run->wait->what}";
            }
        }
        throw new \LogicException($text);
    }

    // --- stream_select() --------------------------------------------------------------------------------------

    /** Waits for what a call of stream_select() waits for, as far as it is the fakes'; then tells its streams. */
    public function select(?array $read = null, ?array $write = null, ?array $except = null, ?int $seconds = null, ?int $microseconds = null): void
    {
        $fakes = [];
        $foreign = (bool) $write || (bool) $except;
        foreach ($read ?? [] as $stream) {
            $wrapper = StreamWrapper::of($stream);
            $wrapper === null ? $foreign = true : $fakes[] = $wrapper;
        }
        foreach ($fakes as $wrapper) {
            $wrapper->forgetSelect();
            if ($wrapper->kind === StreamWrapper::Signals) {
                $this->ask($wrapper->run);
            }
        }
        $ready = static function () use ($fakes): bool {
            foreach ($fakes as $wrapper) {
                if ($wrapper->readable()) {
                    return true;
                }
            }
            return false;
        };
        $deadline = $seconds === null ? ($foreign ? $this->now() : null) : $this->now() + $seconds + ($microseconds ?? 0) / 1e6;
        if ($deadline !== null) {
            $this->waitReal($ready, $deadline);
        } else {
            $this->wait('stream_select()', $ready);
        }
        foreach ([$read, $write, $except] as $streams) {
            foreach ($streams ?? [] as $stream) {
                StreamWrapper::of($stream)?->tell();
            }
        }
    }

    private function waitReal(\Closure $ready, float $deadline): void
    {
        $run = $this->current();
        if ($run !== null && \Fiber::getCurrent() === $run->fiber) {
            $this->settle();
            if (!$ready()) {
                $run->wait = new Wait('stream_select()', $ready, $deadline, true);
                \Fiber::suspend();
            }
            return;
        }
        // The test's own: others go first, as far as they can without the clock.
        $wait = new Wait('stream_select()', $ready, $deadline, true);
        while (!$ready() && ($this->runOne() || (!$ready() && $this->now() < $deadline && $this->passTime($wait))));
    }

    /** @return resource that is always readable, or never */
    public function descriptor(bool $readable)
    {
        $this->descriptors ??= [fopen('/dev/null', 'r'), ...stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0)];
        return $this->descriptors[$readable ? 0 : 1];
    }

    abstract public function ask(WorkerRun $run): void;
}
