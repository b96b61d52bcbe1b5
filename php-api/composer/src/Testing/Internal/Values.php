<?php

declare(strict_types=1);

namespace Igor\Testing\Internal;

/** @internal Which values can be sent, as the server says it. */
final class Values
{
    /** The value as the other side gets it: a copy, without references. */
    public static function copy(mixed $value, string $path, int $most): mixed
    {
        $bytes = 0;
        return self::visit($value, $path, 0, $bytes, $most, $path);
    }

    private static function visit(mixed $value, string $path, int $depth, int &$bytes, int $most, string $root): mixed
    {
        // The server's own form is as large, give or take some bytes.
        $bytes += 16 + (is_string($value) ? strlen($value) : 0);
        if ($bytes > $most) {
            throw new \ValueError("$root: at least $bytes bytes when encoded, more than the $most that the pool allows (max_payload)");
        }
        if ($value === null || is_scalar($value)) {
            return $value;
        }
        if (is_array($value)) {
            if ($depth >= 512) {
                throw new \ValueError("$path: array is nested deeper than 512 levels");
            }
            $copy = [];
            foreach ($value as $key => $item) {
                $at = is_int($key) ? "{$path}[$key]" : "{$path}['$key']";
                if (\ReflectionReference::fromArrayElement($value, $key) !== null) {
                    self::refuse('reference', $at);
                }
                $bytes += is_string($key) ? strlen($key) : 0;
                $copy[$key] = self::visit($item, $at, $depth + 1, $bytes, $most, $root);
            }
            return $copy;
        }
        if ($value instanceof \UnitEnum) {
            $bytes += strlen($value::class) + strlen($value->name);
            return $value;
        }
        self::refuse(match (true) {
            $value instanceof \Closure => 'closure',
            is_object($value) => 'object of class ' . $value::class,
            default => 'resource',
        }, $path);
    }

    private static function refuse(string $what, string $path): never
    {
        throw new \ValueError("$path: $what cannot be sent; null, bool, int, float, string, array and enum cases can");
    }
}
