<?php

declare(strict_types=1);

namespace Igor\Testing;

use Igor\Internal\Backend;
use Igor\Testing\Internal\Runtime;

/**
 * Background workers in the process of a unit test: no server, no threads, no waiting.
 *
 *     $workers = FakeWorkers::install();
 *     $workers->handle('upper', fn(Igor\Job $job) => strtoupper($job->payload['text']));
 *     assert(Igor\Worker::send('upper', ['text' => 'a'])->await() === 'A');
 *     FakeWorkers::uninstall();
 *
 * Each worker runs in a Fiber. One side goes on when the other side waits, in an order that is the same in
 * every run. Time is the fakes' own: where everybody waits, the clock jumps to the next timeout or deadline,
 * so that a test of a timeout takes none. Where everybody waits for ever, a LogicException says who for what.
 *
 * What differs from the server: exit() and fatal errors in a worker end the test (throw WorkerEnds instead);
 * a script runs in a function's scope and, when it ends and is needed again, in the same process, so what it
 * declares belongs into a file that it includes once; php.ini, superglobals other than the worker's entries in
 * $_SERVER, and output are the test's own. A worker may use Fibers, but only its main one can wait for tasks.
 */
final class FakeWorkers
{
    private static ?bool $atEnd = null;

    private function __construct(private readonly Runtime $runtime)
    {
    }

    /** Fake workers in place of none. Ends those that were installed before. */
    public static function install(): self
    {
        if (extension_loaded('igor')) {
            throw new \LogicException('fake workers cannot stand in for the workers of a running Igor; run unit tests with a php that has no extension "igor"');
        }
        self::uninstall();
        // Fibers that still wait when PHP ends would be unwound where nothing works any more.
        self::$atEnd ??= register_shutdown_function(self::uninstall(...)) ?? true;
        return new self(Backend::$runtime = new Runtime());
    }

    /** Tells all workers to stop, lets them, and takes them away. */
    public static function uninstall(): void
    {
        try {
            Backend::$runtime?->stop();
        } finally {
            Backend::$runtime = null;
        }
    }

    /**
     * A worker as it is written for the server: the path of its script, or a function that gets the Igor\Inbox.
     * It starts with the first call that names it. An empty name makes the catch-all, with at most
     * `maxThreads` (16) names.
     *
     * The options are those of the Caddyfile; `timeout` is in seconds, null for none.
     */
    public function worker(
        string $name,
        callable|string $worker,
        int $num = 1,
        ?int $maxThreads = null,
        int $queue = 0,
        bool $overflowReject = false,
        int $updates = 16,
        int $maxPayload = 64 << 20,
        ?float $timeout = null,
    ): self {
        $this->runtime->add($name, $worker, compact('num', 'maxThreads', 'queue', 'overflowReject', 'updates', 'maxPayload', 'timeout'));
        return $this;
    }

    /**
     * A worker that calls a function for each task: what it returns completes the task, unless the function has
     * ended the task itself; what it throws fails the task, and the worker goes on with the next.
     *
     * @param callable(\Igor\Job): mixed $handler
     */
    public function handle(string $name, callable $handler): self
    {
        return $this->worker($name, static function (\Igor\Inbox $inbox) use ($handler): void {
            while ($job = $inbox->receive()) {
                try {
                    $job->complete($handler($job));
                } catch (WorkerEnds $end) {
                    throw $end;
                } catch (\Throwable $error) {
                    $job->fail($error);
                }
                unset($job);
            }
        });
    }

    /** A snapshot for readers, from a worker that does nothing else. Again: the next one. */
    public function vars(string $name, array $vars): self
    {
        $this->runtime->publishAs($name, $vars);
        return $this;
    }

    /** Lets workers go on until each of them waits. Not needed where the test itself waits for a task. */
    public function run(): self
    {
        $this->runtime->runAll();
        return $this;
    }

    /** Moves the fakes' clock, for timeouts and deadlines. */
    public function advance(float $seconds): self
    {
        $this->runtime->advance($seconds);
        return $this;
    }

    /** Tells one pool's workers to stop, as a reload does, and lets them. The next call that names it starts it again. */
    public function stop(string $name): self
    {
        $this->runtime->stop($name);
        return $this;
    }

    /** How often a worker of that name was started. */
    public function starts(string $name): int
    {
        return $this->runtime->starts($name);
    }
}
