<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

/** @internal What somebody waits for, and until when. */
final class Wait
{
    /**
     * @param \Closure(): bool $ready
     * @param bool $real waits in stream_select(): its time is the machine's, and passes while it waits
     */
    public function __construct(
        public readonly string $what,
        public readonly \Closure $ready,
        public readonly ?float $deadline,
        public readonly bool $real = false,
    ) {
    }

    public function over(float $now): bool
    {
        return ($this->deadline !== null && $now >= $this->deadline) || ($this->ready)();
    }
}
