<?php

/**
 * What PHP code sees of Igor. Source of igor_arginfo.h (php-api/generate) and of the IDE stubs.
 *
 * @generate-class-entries
 * @undocumentable
 */

namespace {

    /**
     * A level of frankenphp_log().
     * @var int
     */
    const FRANKENPHP_LOG_LEVEL_DEBUG = -4;

    /**
     * A level of frankenphp_log().
     * @var int
     */
    const FRANKENPHP_LOG_LEVEL_INFO = 0;

    /**
     * A level of frankenphp_log().
     * @var int
     */
    const FRANKENPHP_LOG_LEVEL_WARN = 4;

    /**
     * A level of frankenphp_log().
     * @var int
     */
    const FRANKENPHP_LOG_LEVEL_ERROR = 8;

    /**
     * Sends a task to a background worker and returns the stream of its updates.
     *
     * The worker is found by name in this php_server, else among the global ones, and started when it is
     * lazy. Returns once the task is accepted: a waiting worker has it, or the pool's queue has a place.
     *
     * @param array $payload null, bool, int, float, string, arrays of these, and enum cases
     * @param float $timeout seconds that starting the worker and acceptance may take
     * @return resource readable when an update or the end is there; fclose() cancels the task
     * @throws RuntimeException no such worker, timeout, the worker keeps failing, shutting down
     * @throws Igor\Overflow the pool is full and configured with "overflow reject"
     * @throws ValueError a value that cannot be sent, named by its path
     */
    function frankenphp_worker_task_send(string $name, array $payload, float $timeout = 30.0) {}

    /**
     * The next update of a task, waiting for it; null when the worker has completed the task.
     *
     * @param resource $stream from frankenphp_worker_task_send()
     * @throws RuntimeException the task was aborted; its previous exception is an Igor\TaskFailed
     */
    function frankenphp_worker_task_read($stream): ?array {}

    /**
     * The next task for this background worker, or null when there is none now. Never waits.
     *
     * @return array|null [resource $stream, array $payload]; fclose($stream) completes the task
     */
    function frankenphp_worker_task_receive(): ?array {}

    /**
     * Sends an update to the task's sender. Waits while the sender has not read enough of those before.
     *
     * @param resource $stream from frankenphp_worker_task_receive()
     * @throws RuntimeException "task closed": the sender has gone, or this worker is to stop
     */
    function frankenphp_worker_task_update($stream, array $data): void {}

    /**
     * The stream on which this background worker is told of tasks and of its stop: it is readable while
     * there is something to do, and reads as "task\n" or "stop\n". The same stream each time.
     *
     * @return resource
     */
    function frankenphp_worker_get_signaling_stream() {}

    /**
     * Publishes a snapshot of this background worker's data, in place of the last one. Publishing the same
     * data again changes nothing. A worker that has published counts as ready.
     *
     * @param array $vars null, bool, int, float, string, arrays of these, and enum cases
     */
    function frankenphp_worker_set_vars(array $vars): void {}

    /**
     * The latest snapshot of a background worker, or of several: [name => snapshot]. Starts a lazy worker,
     * and waits for its first snapshot; after that it never waits, even while the worker restarts. While
     * the snapshot is the latest, the very same array is returned within a request.
     *
     * @param float $timeout seconds to wait for the first snapshots, all together
     * @throws RuntimeException no such worker, timeout, the worker failed at its start
     */
    function frankenphp_worker_get_vars(string|array $name, float $timeout = 30.0): array {}

    /**
     * In the script of an HTTP worker: waits for the next HTTP request and calls $callback for it, with the
     * superglobals, php://input, headers and output of that request. To be called in a loop.
     *
     * @return bool false: the script shall end (stop, restart, max_requests, max_memory); it is started again
     * @throws RuntimeException not in an HTTP worker, or called from inside a callback
     */
    function frankenphp_handle_request(callable $callback): bool {}

    /** Completes the HTTP response; the script goes on without its client. */
    function frankenphp_finish_request(): bool {}

    /** @alias frankenphp_finish_request */
    function fastcgi_finish_request(): bool {}

    /** @return array<string, string> the headers of the HTTP request, by name */
    function frankenphp_request_headers(): array {}

    /** @alias frankenphp_request_headers */
    function apache_request_headers(): array {}

    /** @alias frankenphp_request_headers */
    function getallheaders(): array {}

    /** @return array<string, string> the headers of the HTTP response set so far, by name */
    function frankenphp_response_headers(): array|bool {}

    /** @alias frankenphp_response_headers */
    function apache_response_headers(): array|bool {}

    /** Sends the headers set so far; with a status from 100 to 199 as an informational answer before the real one. */
    function headers_send(int $status = 200): int {}

    /**
     * Writes to the server's structured log.
     *
     * @param int $level one of FRANKENPHP_LOG_LEVEL_*: -4 debug, 0 info, 4 warning, 8 error
     * @param array $context becomes fields of the record
     */
    function frankenphp_log(string $message, int $level = FRANKENPHP_LOG_LEVEL_INFO, array $context = []): void {}
}

namespace Igor {

    /** Why a task ended other than by completion. */
    enum Reason: string
    {
        /** The worker's script returned or called exit() while it held the task. */
        case Exited = 'exited';
        /** An exception ended the script, or the code that held the task. */
        case UncaughtException = 'uncaught_exception';
        /** An error that PHP cannot recover from. */
        case FatalError = 'fatal_error';
        /** memory_limit was reached. */
        case MemoryLimit = 'memory_limit';
        /** The task's wall-clock time ran out. */
        case Deadline = 'deadline';
        /** The worker could not be ended, or its process died. */
        case WorkerLost = 'worker_lost';
        /** The worker was told to stop before the task was done. */
        case Shutdown = 'shutdown';
        /** The worker let go of the task without ending it. */
        case Abandoned = 'abandoned';
    }

    /** How a task failed, as far as it could be told: the previous exception of what a sender gets. */
    class TaskFailed extends \RuntimeException
    {
        private Reason $reason;
        private int $exitStatus = 0;
        private ?string $errorClass = null;
        private ?string $errorMessage = null;
        private ?string $errorFile = null;
        private ?int $errorLine = null;
        private ?string $errorTrace = null;

        /** Abandoned for one that the server has not made, as a test does it. */
        public function getReason(): Reason {}

        /** The exit status of the worker's script: 255 after an exception or a fatal error; 0 when it goes on. */
        public function getExitStatus(): int {}

        /** The class of what the worker's script threw, also of an Error that is fatal (a stack overflow); else null. */
        public function getErrorClass(): ?string {}

        /** The message of the worker's exception or fatal error. */
        public function getErrorMessage(): ?string {}

        public function getErrorFile(): ?string {}

        public function getErrorLine(): ?int {}

        /** The worker's stack, as Throwable::getTraceAsString() gives it. */
        public function getErrorTrace(): ?string {}
    }

    /** The pool is full and refuses instead of making the sender wait. */
    class Overflow extends \RuntimeException
    {
    }

    enum TaskState: string
    {
        /** Accepted, not yet taken by a worker. */
        case Pending = 'pending';
        case Running = 'running';
        case Completed = 'completed';
        case Failed = 'failed';
        case Cancelled = 'cancelled';
        case TimedOut = 'timed_out';
    }

    /** Where tasks are sent from, and where a background worker finds its inbox. */
    final class Worker
    {
        /**
         * Sends a task to a background worker.
         *
         * @param array $payload null, bool, int, float, string, arrays of these, and enum cases
         * @param float|null $timeout seconds that starting the worker and acceptance may take; null: 30
         * @param float|null $deadline seconds of wall time that the task may take from its acceptance, after
         *                             which it fails with Reason::Deadline; null: as the pool is configured
         * @throws \RuntimeException no such worker, timeout, the worker keeps failing, shutting down
         * @throws Overflow the pool is full and configured with "overflow reject"
         */
        public static function send(string $name, array $payload, ?float $timeout = null, ?float $deadline = null): Task {}

        /** @throws \RuntimeException outside of a background worker */
        public static function current(): Inbox {}
    }

    /**
     * A task that was sent, as its sender sees it. Iterating over it gives its updates, in order, as they
     * come; the loop ends when the task is completed and throws TaskFailed when it failed. Letting go of it
     * cancels a task that has not ended.
     *
     * @strict-properties
     * @not-serializable
     */
    final class Task implements \IteratorAggregate
    {
        /**
         * The next update, waiting for it; null when the worker has completed the task.
         *
         * @throws TaskFailed
         */
        public function read(): ?array {}

        /**
         * Waits for the end, dropping updates that were not read, and returns what the worker gave to
         * Job::complete(); null when it gave nothing or closed the stream.
         *
         * @throws TaskFailed
         */
        public function await(): mixed {}

        /** Ends the task if it has not ended. The worker sees it in isCancelled(), update() and its stream. */
        public function cancel(): void {}

        /** @return resource for stream_select() and event loops: readable when read() would not wait */
        public function stream() {}

        public function state(): TaskState {}

        public function getIterator(): \Iterator {}

        /**
         * Waits for all and returns their completion values under the same keys. The first failure is
         * thrown at once, and the others are cancelled.
         *
         * @param array|\Traversable $tasks of Task
         */
        public static function all(array|\Traversable $tasks): array {}

        /**
         * The completion value of the first that completes; the others are cancelled. When every one
         * failed, the last failure is thrown.
         *
         * @param array|\Traversable $tasks of Task, at least one
         */
        public static function any(array|\Traversable $tasks): mixed {}

        /**
         * The completion value of the first that ends, or its failure thrown; the others are cancelled.
         *
         * @param array|\Traversable $tasks of Task, at least one
         */
        public static function race(array|\Traversable $tasks): mixed {}
    }

    /**
     * What a background worker gets its tasks from.
     *
     * @strict-properties
     * @not-serializable
     */
    final class Inbox
    {
        /**
         * The next task, waiting for it at most $timeout seconds (null: as long as it takes). Null when the
         * time ran out or the worker is to stop.
         */
        public function receive(?float $timeout = null): ?Job {}

        /** Publishes a snapshot: frankenphp_worker_set_vars(). */
        public function publish(array $vars): void {}

        /** Whether the worker was told to stop: finish what is held and return. */
        public function isStopping(): bool {}

        /** @return resource the signaling stream, for stream_select() and event loops */
        public function stream() {}
    }

    /**
     * A task that was received, as the worker sees it. Letting go of it without ending it fails the task.
     *
     * @strict-properties
     * @not-serializable
     */
    final class Job
    {
        public readonly array $payload;

        /**
         * Sends an update. Waits while the sender has not read enough of those before.
         *
         * @throws \RuntimeException "task closed": the sender has gone, or this worker is to stop
         */
        public function update(array $data): void {}

        /** Ends the task well; the sender's await() returns the value. No-op when it has ended. */
        public function complete(mixed $value = null): void {}

        /** Ends the task as failed, with this message or exception as its cause. No-op when it has ended. */
        public function fail(string|\Throwable $reason): void {}

        /** Whether the other side has ended the task: what is left to do for it would be wasted. */
        public function isCancelled(): bool {}

        /** @return resource readable, and at its end, once the task is cancelled; fclose() completes it */
        public function stream() {}
    }
}
