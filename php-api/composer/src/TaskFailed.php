<?php

declare(strict_types=1);

namespace Igor;

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

    public function getReason(): Reason
    {
        return $this->reason;
    }

    public function getExitStatus(): int
    {
        return $this->exitStatus;
    }

    public function getErrorClass(): ?string
    {
        return $this->errorClass;
    }

    public function getErrorMessage(): ?string
    {
        return $this->errorMessage;
    }

    public function getErrorFile(): ?string
    {
        return $this->errorFile;
    }

    public function getErrorLine(): ?int
    {
        return $this->errorLine;
    }

    public function getErrorTrace(): ?string
    {
        return $this->errorTrace;
    }
}
