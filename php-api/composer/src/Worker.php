<?php

declare(strict_types=1);

namespace Igor;

use Igor\Internal\Backend;

/** Where tasks are sent from, and where a background worker finds its inbox. */
final class Worker
{
    public static function send(string $name, array $payload, ?float $timeout = null, ?float $deadline = null): Task
    {
        $runtime = Backend::runtime(__METHOD__);
        return $runtime->taskObject($runtime->send(__METHOD__, $name, $payload, $timeout ?? 30.0, $deadline));
    }

    public static function current(): Inbox
    {
        $runtime = Backend::runtime(__METHOD__);
        $runtime->worker(__METHOD__);
        return $runtime->inboxObject();
    }
}
