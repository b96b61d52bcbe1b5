<?php

declare(strict_types=1);

namespace Igor\Internal;

/**
 * What objects that stand for something outside of PHP refuse: copies, serialization, other properties.
 *
 * @internal
 */
trait Handle
{
    private function __clone()
    {
    }

    public function __set(string $name, mixed $value): never
    {
        throw new \Error('Cannot create dynamic property ' . static::class . "::\$$name");
    }

    public function __serialize(): never
    {
        throw new \Exception("Serialization of '" . static::class . "' is not allowed");
    }

    public function __unserialize(array $data): never
    {
        throw new \Exception("Unserialization of '" . static::class . "' is not allowed");
    }
}
