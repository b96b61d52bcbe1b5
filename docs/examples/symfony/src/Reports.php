<?php

namespace App;

use Symfony\Contracts\Service\ResetInterface;

/** A service with state: how many reports it has made since it was reset. */
final class Reports implements ResetInterface
{
    private int $made = 0;

    public function make(int $year): array
    {
        return ['year' => $year, 'made' => ++$this->made];
    }

    public function reset(): void
    {
        $this->made = 0;
    }
}
