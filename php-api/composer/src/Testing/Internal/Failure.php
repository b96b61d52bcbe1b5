<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

use Igor\Reason;
use Igor\TaskFailed;
use Igor\Testing\WorkerEnds;

/** @internal How a task or a run of a worker failed. */
final class Failure
{
    public function __construct(
        public readonly Reason $reason,
        public readonly string $message = '',
        public readonly int $exitStatus = 0,
        public readonly ?string $class = null,
        public readonly ?string $file = null,
        public readonly ?int $line = null,
        public readonly ?string $trace = null,
    ) {
    }

    public static function of(\Throwable $error, int $exitStatus = 255): self
    {
        if ($error instanceof WorkerEnds) {
            $located = in_array($error->reason, [Reason::FatalError, Reason::MemoryLimit, Reason::UncaughtException], true);
            return new self($error->reason, $error->getMessage(), $error->exitStatus, null,
                $located ? $error->getFile() : null, $located ? $error->getLine() : null);
        }
        return new self(Reason::UncaughtException, $error->getMessage(), $exitStatus, $error::class, $error->getFile(),
            $error->getLine(), $error->getTraceAsString());
    }

    public function exception(): TaskFailed
    {
        $exception = new TaskFailed($this->text());
        $failure = $this;
        (function () use ($failure): void {
            $this->reason = $failure->reason;
            $this->exitStatus = $failure->exitStatus;
            $this->errorClass = $failure->class;
            $this->errorMessage = $failure->message === '' ? null : $failure->message;
            $this->errorFile = $failure->file;
            $this->errorLine = $failure->line;
            $this->errorTrace = $failure->trace;
        })->bindTo($exception, TaskFailed::class)();
        return $exception;
    }

    private function text(): string
    {
        if ($this->message === '') {
            return $this->reason->name . ($this->reason === Reason::Exited ? ": exit status $this->exitStatus" : '');
        }
        return $this->reason->name . ': ' . ($this->class === null ? '' : "$this->class: ") . $this->message
            . ($this->line === null ? '' : " in $this->file on line $this->line");
    }
}
