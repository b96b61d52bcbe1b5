<?php

declare(strict_types=1);

namespace Igor;

/** The pool is full and refuses instead of making the sender wait. */
class Overflow extends \RuntimeException
{
}
