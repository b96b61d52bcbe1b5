<?php

declare(strict_types=1);

// Ends in the way that each task names ("how"), while the task's stream is kept where it says ("where").

final class Box
{
    public static $kept;

    public function __construct(public $property = null)
    {
    }
}

/** Keeps the stream; for places that last only as long as somebody holds them, returns what to hold. */
function keep(string $where, $stream): mixed
{
    switch ($where) {
        case 'local':
            return $stream;
        case 'static':
            Box::$kept = $stream;
            return null;
        case 'property':
            return new Box($stream);
        case 'closure':
            return fn() => $stream;
        case 'array':
            return [['deep' => $stream]];
        case 'reference':
            $GLOBALS['referenced'] = &$stream;
            return null;
        case 'global':
            $GLOBALS['kept'] = $stream;
            return null;
        case 'constant':
            define('KEPT', $stream);
            return null;
        case 'generator':
            $generator = (function () use ($stream) {
                yield 1;
                yield $stream;
            })();
            $generator->current();
            return $generator;
        case 'cycle':
            $box = new Box();
            $box->property = [$box, $stream];
            return null;
        case 'fiber':
            $fiber = new Fiber(function () use ($stream) {
                Fiber::suspend();
                return $stream;
            });
            $fiber->start();
            return $fiber;
    }
    throw new LogicException("there is no place '$where'");
}

function recurse(): void
{
    recurse();
}

function nest(int $level): array
{
    return array_map(nest(...), [$level + 1]);
}

/** Ends the script in this way, or answers whether the script is to return. */
function leave(string $how): bool
{
    switch ($how) {
        case 'exit 0':
            exit(0);
        case 'exit 7':
            exit(7);
        case 'exit text':
            exit('a text, and status 0');
        case 'return':
            return true;
        case 'throw':
            throw new DomainException('thrown');
        case 'fatal':
            eval('class Broken implements Countable {}');
        case 'undefined':
            undefined_function();
        case 'memory':
            str_repeat('x', 1 << 40);
        case 'recursion':
            recurse();
        case 'stack':
            nest(0);
        case 'let go':
            return false;
    }
    throw new LogicException("there is no way '$how'");
}

function work($stream, array $payload): bool
{
    $kept = keep($payload['where'], $stream);
    unset($stream);
    return leave($payload['how']);
}

$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    // Unpacked at once, so that nothing but work() ever holds the stream.
    if (work(...frankenphp_worker_task_receive())) {
        return;
    }
}
