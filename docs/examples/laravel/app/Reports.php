<?php

namespace App;

/** A scoped service: one per request, or per task. */
final class Reports
{
    private int $made = 0;

    public function make(int $year): array
    {
        return ['year' => $year, 'made' => ++$this->made];
    }
}
