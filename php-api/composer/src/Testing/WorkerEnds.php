<?php

declare(strict_types=1);

namespace Igor\Testing;

use Igor\Reason;

/**
 * Thrown in a fake worker, it ends that worker in a way that a unit test could not survive for real:
 *
 *     throw new WorkerEnds(Reason::MemoryLimit, 'Allowed memory size of 134217728 bytes exhausted');
 *
 * Every task that the worker holds fails with this reason.
 */
final class WorkerEnds extends \Exception
{
    public function __construct(public readonly Reason $reason, string $message = '', public readonly int $exitStatus = 255)
    {
        parent::__construct($message);
    }
}
