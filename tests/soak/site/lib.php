<?php

// What senders and workers share: how they write the history, and the data that they send each other.
//
// Every line is one write to a file that is opened for appending, so lines of all threads stand in it whole and in the
// order of what happened. The driver reads both files (see history.go, which has the lines' meaning).

final class History
{
    private static $file;

    public static function open(string $name): void
    {
        self::$file = fopen("{$_SERVER['SOAK_HISTORY']}/$name", 'a');
    }

    public static function close(): void
    {
        self::$file = null;
    }

    public static function write(string ...$lines): void
    {
        fwrite(self::$file, implode("\n", $lines) . "\n");
    }
}

/** What a task or an update carries: anybody who has it can see whether it is whole. */
function sealed(string $id, int $n, string $data): array
{
    return ['id' => $id, 'n' => $n, 'data' => $data, 'sum' => crc32("$id $n $data")];
}

function check_seal(array $value, string $id, int $n): void
{
    if ($value['id'] !== $id || $value['n'] !== $n || $value['sum'] !== crc32("$id $n {$value['data']}")) {
        throw new LogicException("$id: update or payload $n is damaged, or another's: {$value['id']} {$value['n']}");
    }
}
