<?php

declare(strict_types=1);

namespace Igor;

use Igor\Internal\Backend;
use Igor\Internal\Handle;

/** What a background worker gets its tasks from. */
final class Inbox
{
    use Handle;

    private function __construct()
    {
    }

    public function receive(?float $timeout = null): ?Job
    {
        return Backend::runtime(__METHOD__)->nextJob(__METHOD__, $timeout);
    }

    public function publish(array $vars): void
    {
        Backend::runtime(__METHOD__)->publish(__METHOD__, $vars);
    }

    public function isStopping(): bool
    {
        return Backend::runtime(__METHOD__)->worker(__METHOD__)->stopping;
    }

    /** @return resource */
    public function stream()
    {
        return Backend::runtime(__METHOD__)->signals(__METHOD__);
    }
}
