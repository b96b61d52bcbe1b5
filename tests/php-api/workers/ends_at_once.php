<?php

declare(strict_types=1);

// Ends before it asks for anything, in the way that its environment says.
match (getenv('END')) {
    'return' => null,
    'exit 3' => exit(3),
    'throw' => throw new DomainException('at once'),
    'fatal' => eval('class Broken implements Countable {}'),
    'memory' => str_repeat('x', 1 << 40),
};
