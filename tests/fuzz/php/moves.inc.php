<?php

declare(strict_types=1);

/**
 * Random moves on the PHP API, for both sides. What a move throws must be what the reference says that it may throw.
 */

enum Known: string
{
    case One = '1';
    case Two = '2';
}

/** A move is made from many places: what a stack holds when a script ends is half of what goes wrong. */
function somewhere(callable $move): void
{
    switch (mt_rand(0, 11)) {
        case 0:
            (new Fiber($move))->start();
            return;
        case 1: // not run to its end
            $fiber = new Fiber(function () use ($move) {
                try {
                    $move();
                    Fiber::suspend();
                } finally {
                    $GLOBALS['unwound'] = true;
                }
            });
            $fiber->start();
            return;
        case 2:
            foreach ((function () use ($move) {
                yield 1;
                $move();
                yield 2;
            })() as $step) {
                if ($step === 2) {
                    break;
                }
            }
            return;
        case 3:
            array_map(fn() => $move(), [1]);
            return;
        case 4:
            ob_start(function (string $text) {
                return '';
            });
            try {
                $move();
            } finally {
                ob_end_clean();
            }
            return;
        case 5:
            $object = new class ($move) {
                public function __construct(private $move)
                {
                }
                public function __destruct()
                {
                    ($this->move)();
                }
            };
            unset($object);
            return;
        case 6:
            try {
                throw new DomainException('on its way');
            } catch (DomainException) {
                $move();
            } finally {
                gc_collect_cycles();
            }
            return;
        default:
            $move();
    }
}

/** A value that can be sent, most of the time. */
function some_value(int $depth = 0): mixed
{
    switch (mt_rand(0, $depth > 3 ? 6 : 12)) {
        case 0:
            return null;
        case 1:
            return mt_rand(0, 1) === 1;
        case 2:
            return mt_rand() * (mt_rand(0, 1) ? 1 : -4294967296);
        case 3:
            return mt_rand() / 7;
        case 4:
            return str_repeat(chr(mt_rand(0, 255)), mt_rand(0, 40));
        case 5:
            return mt_rand(0, 30) ? Known::Two : Igor\Reason::Exited;
        case 6:
            return mt_rand(0, 30) ? 'text' : (mt_rand(0, 1) ? fn() => 1 : STDOUT_OR_NULL);
        default:
            return some_array($depth + 1);
    }
}

function some_array(int $depth = 0): array
{
    $array = [];
    for ($i = mt_rand(0, 5); $i > 0; --$i) {
        if (mt_rand(0, 1)) {
            $array[] = some_value($depth);
        } else {
            $array[mt_rand(0, 1) ? 'key' . mt_rand(0, 9) : mt_rand(-5, 5)] = some_value($depth);
        }
    }
    if (mt_rand(0, 20) === 0) {
        $array['itself'] = &$array;
    }
    return $array;
}

const DOCUMENTED = [
    'RuntimeException' => [
        'background worker exited without completing the task',
        'task closed',
        'timeout waiting for background worker "\w+" to (accept task|publish its vars)',
        'no background worker named "\w+" in this php_server or the global block, and no catch-all',
        'background worker "\w+" failed (once|twice in a row|\d+ times in a row) and is not started for now \(max_consecutive_failures\)',
        'background worker "\w+" is shutting down',
        'interrupted: .+',
        '[\w\\\\:]+\(\) can only be called in a background worker',
    ],
    'Igor\Overflow' => ['background worker "\w+" is full \(overflow reject\)'],
    'Igor\TaskFailed' => ['.*'],
    'LogicException' => ['enum (case )?[\w\\\\]+::\w+ is not known here'],
    'ValueError' => [
        '\$\w+(\[.+?\])*: (resource|closure|reference|object of class \S+) cannot be sent; .+',
        '\$\w+(\[.+?\])*: array is nested deeper than 512 levels',
        '\$\w+: (at least )?\d+ bytes when encoded, more than the \d+ that the pool allows \(max_payload\)',
        '[\w\\\\:]+\(\): Argument #\d+ \(\$\w+\) must .+',
        'No stream arrays were passed',
        'Igor\\\\Task::(any|race)\(\): .+',
    ],
    'TypeError' => [
        '[\w\\\\:]+\(\): Argument #\d+ (\(\$\w+\) )?must be .+',
        'supplied resource is not a valid stream resource',
        '[\w\\\\:]+\(\): supplied (resource|argument) is not a valid (stream|.+) resource',
        '\w+\(\): supplied resource is not a valid stream resource',
    ],
];

/** Makes a move and looks at what it throws. */
function make(callable $move): void
{
    try {
        somewhere($move);
    } catch (Throwable $thrown) {
        $texts = DOCUMENTED[get_class($thrown)] ?? null;
        foreach ($texts ?? [] as $text) {
            if (preg_match("~^$text$~s", $thrown->getMessage())) {
                return;
            }
        }
        fprintf(STDERR, "UNDOCUMENTED %s: %s\n%s\n", get_class($thrown), $thrown->getMessage(), $thrown->getTraceAsString());
        // Not a failure of the worker's script alone: the whole run has failed.
        file_put_contents(getenv('FUZZ_FINDINGS'), get_class($thrown) . ': ' . $thrown->getMessage() . "\n" . $thrown->getTraceAsString() . "\n", FILE_APPEND);
    }
}

/** Takes one of them out, or leaves it and hands out a copy. */
function pick(array &$things, bool $take = false): mixed
{
    if (!$things) {
        return null;
    }
    $key = array_rand($things);
    $thing = $things[$key];
    if ($take) {
        unset($things[$key]);
    }
    return $thing;
}

/** What a stream may be asked by anybody. */
function meddle($stream): void
{
    if (!is_resource($stream)) {
        return;
    }
    switch (mt_rand(0, 8)) {
        case 0:
            feof($stream);
            return;
        case 1:
            @fread($stream, 10);
            return;
        case 2:
            @fwrite($stream, 'x');
            return;
        case 3:
            stream_get_meta_data($stream);
            return;
        case 4:
            stream_set_blocking($stream, false);
            return;
        case 5:
            @fseek($stream, 3);
            @ftruncate($stream, 0);
            @flock($stream, LOCK_SH | LOCK_NB);
            return;
        case 6:
            @stream_filter_append($stream, 'string.rot13');
            return;
        case 7:
            fstat($stream);
            return;
        default:
            $read = [$stream]; // a filtered one has no descriptor
            $none = null;
            @stream_select($read, $none, $none, 0, mt_rand(0, 2000));
    }
}
