<?php

declare(strict_types=1);

namespace Igor;

/** Why a task ended other than by completion. */
enum Reason: string
{
    case Exited = 'exited';
    case UncaughtException = 'uncaught_exception';
    case FatalError = 'fatal_error';
    case MemoryLimit = 'memory_limit';
    case Deadline = 'deadline';
    case WorkerLost = 'worker_lost';
    case Shutdown = 'shutdown';
    case Abandoned = 'abandoned';
}
