<?php

declare(strict_types=1);

namespace Igor\Internal;

use Igor\Testing\Internal\Runtime;

/**
 * What the functions and classes of this package work with: the fake workers that are installed, or nothing.
 *
 * @internal
 */
final class Backend
{
    public static ?Runtime $runtime = null;

    public static function runtime(string $function): Runtime
    {
        return self::$runtime ?? throw new \RuntimeException(
            "$function() needs the Igor server; a unit test can install fake workers (Igor\\Testing\\FakeWorkers::install())"
        );
    }
}
