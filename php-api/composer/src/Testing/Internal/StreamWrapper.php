<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

/**
 * The streams of the fakes: a sender's, a worker's and the signaling one. As with the server they hold no
 * bytes; the descriptor that stream_select() asks for is one that is always readable or one that never is.
 *
 * @internal
 */
final class StreamWrapper
{
    public const Sender = 'task';
    public const Received = 'received task';
    public const Signals = 'worker signals';
    private const Scheme = 'igor-fake';

    /** @var array{Runtime, string, FakeTask|WorkerRun}|null handed to the next one that is opened */
    private static ?array $next = null;

    /** @var resource|null set by PHP */
    public $context;
    public string $kind = '';
    public ?FakeTask $task = null;
    public ?WorkerRun $run = null;
    private ?Runtime $runtime = null;
    private bool $closed = false;
    private bool $blocking = true;
    private ?float $timeout = null;
    /** What a call of stream_select() is told, each time that it asks: on its way in, and on its way out. */
    private bool $told = false;
    private int $asks = 0;

    /** @return resource */
    public static function open(Runtime $runtime, string $kind, FakeTask|WorkerRun $of)
    {
        if (!in_array(self::Scheme, stream_get_wrappers(), true)) {
            stream_wrapper_register(self::Scheme, self::class);
        }
        self::$next = [$runtime, $kind, $of];
        $stream = fopen(self::Scheme . '://', 'r');
        stream_set_read_buffer($stream, 0);
        return $stream;
    }

    /** The wrapper behind a stream, or null when the stream is closed or of another kind. */
    public static function of(mixed $stream): ?self
    {
        $wrapper = is_resource($stream) ? stream_get_meta_data($stream)['wrapper_data'] ?? null : null;
        return $wrapper instanceof self ? $wrapper : null;
    }

    public function stream_open(string $path, string $mode, int $options, ?string &$opened): bool
    {
        if (self::$next === null) {
            return false;
        }
        [$this->runtime, $this->kind, $of] = self::$next;
        self::$next = null;
        if ($of instanceof FakeTask) {
            $this->task = $of;
        } else {
            $this->run = $of;
        }
        return true;
    }

    public function readable(): bool
    {
        return match ($this->kind) {
            self::Sender => $this->task->ended() || $this->task->updates !== [],
            self::Received => $this->task->ended(),
            default => $this->run->stopping || $this->run->pool->pending !== [],
        };
    }

    public function stream_read(int $count): string|false
    {
        $this->asks = 0;
        if ($this->kind === self::Sender) {
            trigger_error("A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()", E_USER_WARNING);
            return false;
        }
        if ($this->kind === self::Received) {
            if ($this->readable()) {
                return ''; // its end
            }
            trigger_error("A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled", E_USER_WARNING);
            return false;
        }
        $this->runtime->ask($this->run);
        if (!$this->readable() && $this->blocking) {
            $deadline = $this->timeout === null ? null : $this->runtime->now() + $this->timeout;
            $this->runtime->wait("a signal of worker \"{$this->run->pool->name}\"", $this->readable(...), $deadline);
        }
        if (!$this->readable()) {
            return '';
        }
        return $this->run->stopping ? "stop\n" : "task\n";
    }

    public function stream_eof(): bool
    {
        return match ($this->kind) {
            self::Sender => $this->task->ended() && $this->task->updates === [],
            self::Received => $this->task->ended(),
            default => false,
        };
    }

    public function stream_write(string $data): int
    {
        return 0;
    }

    public function stream_stat(): array|false
    {
        return false;
    }

    public function stream_set_option(int $option, int $first, ?int $second): bool
    {
        if ($option === STREAM_OPTION_BLOCKING) {
            $this->blocking = (bool) $first;
        } elseif ($option === STREAM_OPTION_READ_TIMEOUT) {
            $this->timeout = $first + $second / 1e6;
        }
        return $option === STREAM_OPTION_BLOCKING || $option === STREAM_OPTION_READ_TIMEOUT;
    }

    /** @return resource|false */
    public function stream_cast(int $as)
    {
        $call = debug_backtrace(DEBUG_BACKTRACE_PROVIDE_OBJECT, 2)[1] ?? [];
        if ($as !== STREAM_CAST_FOR_SELECT || ($call['function'] ?? '') !== 'stream_select') {
            return false;
        }
        if ($this->asks === 0) {
            $this->runtime->select(...$call['args']);
        }
        --$this->asks;
        return $this->runtime->descriptor($this->told);
    }

    /** For one place among the streams of a call: it asks about each of them twice. */
    public function tell(): void
    {
        $this->told = $this->readable();
        $this->asks += 2;
    }

    public function forgetSelect(): void
    {
        $this->asks = 0;
    }

    public function stream_close(): void
    {
        // An explicit fclose() is right above; whatever else lets go of the stream is not.
        $above = debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 2)[1]['function'] ?? '';
        $this->close($above === 'fclose', false);
    }

    // The engine calls no stream_close() while an exception is on its way, but it does destroy this object.
    public function __destruct()
    {
        $this->close(false, true);
    }

    private function close(bool $explicit, bool $inFlight): void
    {
        if ($this->closed || $this->runtime === null) {
            return;
        }
        $this->closed = true;
        if ($this->kind === self::Sender) {
            $this->task->cancel();
        } elseif ($this->kind === self::Received && $explicit) {
            $this->task->complete();
        } elseif ($this->kind === self::Received && !$this->task->ended() && $this->task->holder !== null) {
            if ($inFlight) {
                $this->task->holder->letGoInFlight[] = $this->task;
            } else {
                $this->task->holder->letGo[] = $this->task;
            }
        } elseif ($this->kind === self::Signals && $this->run->signals !== null && $explicit) {
            $this->run->signals = null;
        }
    }
}
