<?php

// What the scripts of all contestants share: payloads, and timed calls with what the process spent on them.

namespace Bench;

enum Suit: string
{
    case Hearts = 'H';
    case Spades = 'S';
}

/** Payloads by name: null, keys, enum, string-N, ints-N, maps-N, rows-N, depth-N. */
function payload(string $name): array
{
    [$kind, $size] = explode('-', $name) + [1 => '0'];
    $size = (int) $size;
    switch ($kind) {
        case 'null':
            return [null];
        case 'keys':
            return ['id' => 4711, 'path' => '/srv/photos/1.jpg', 'width' => 320, 'height' => 240, 'quality' => 0.8,
                'crop' => true, 'owner' => null, 'format' => 'webp', 'tries' => 3, 'title' => 'A day at the sea'];
        case 'enum':
            return [Suit::Spades];
        case 'string':
            return [substr(str_repeat('0123456789abcdefghijklmnopqrstuv', intdiv($size, 32) + 1), 0, $size)];
        case 'ints':
            return range(1_000_000, 1_000_000 + $size - 1);
        case 'maps':
            return array_map(static fn (int $i): array => ['id' => $i] + payload('keys'), range(1, $size));
        case 'rows':
            return array_map(static fn (int $i): array => ['id' => $i, 'name' => "row $i", 'price' => $i / 4], range(1, $size));
        case 'depth':
            $value = [1];
            while (--$size > 0) {
                $value = [$value];
            }
            return $value;
    }
    throw new \InvalidArgumentException("no payload is called $name");
}

/**
 * What the process, and children that have ended, have spent so far: microseconds of CPU time, voluntary and
 * involuntary context switches.
 */
function spent(): array
{
    $sum = [0, 0, 0];
    foreach ([getrusage(), getrusage(1)] as $usage) {
        $sum[0] += ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) * 1_000_000 + $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'];
        $sum[1] += $usage['ru_nvcsw'];
        $sum[2] += $usage['ru_nivcsw'];
    }
    return $sum;
}

/**
 * Calls $work again and again for so many milliseconds, at least $least times, and $check with what it returns.
 * Only $work is timed. Returns a line of JSON about the whole, and each time in nanoseconds, packed.
 *
 * $pause is called before each, and is not timed either. $more adds to the line, or replaces what is in it.
 */
function measure(int $milliseconds, int $least, callable $work, callable $check, ?callable $pause = null, array $more = []): string
{
    $warm = min($least, 20);
    for ($i = 0; $i < $warm; ++$i) {
        $check($work());
    }
    $samples = [];
    $count = 0;
    $before = spent();
    $begin = hrtime(true);
    $end = $begin + $milliseconds * 1_000_000;
    do {
        if ($pause !== null) {
            $pause();
        }
        $start = hrtime(true);
        $answer = $work();
        $now = hrtime(true);
        $samples[] = $now - $start;
        $check($answer);
    } while (++$count < $least || $now < $end);
    $done = hrtime(true);
    $after = spent();
    $packed = '';
    foreach (array_chunk($samples, 1000) as $some) {
        $packed .= pack('P*', ...$some);
    }
    return json_encode($more + ['begin' => $begin, 'end' => $done, 'before' => $before, 'after' => $after, 'count' => $count, 'warm' => $warm]) . "\n" . $packed;
}

function must(bool $holds, string $what): void
{
    if (!$holds) {
        throw new \RuntimeException("wrong answer: $what");
    }
}

function descriptors(): int
{
    return count(scandir('/proc/self/fd')) - 3; // ., .., and the one that reads this
}
