<?php

declare(strict_types=1);

namespace Igor;

use Igor\Internal\Backend;
use Igor\Internal\Handle;

/**
 * A task that was sent, as its sender sees it. Letting go of it cancels a task that has not ended.
 *
 * @implements \IteratorAggregate<int, array>
 */
final class Task implements \IteratorAggregate
{
    use Handle;

    /** @var resource */
    private $stream;

    private function __construct($stream)
    {
        $this->stream = $stream;
    }

    public function read(): ?array
    {
        return Backend::runtime(__METHOD__)->read($this, $this->stream);
    }

    public function await(): mixed
    {
        return Backend::runtime(__METHOD__)->await($this, $this->stream);
    }

    public function cancel(): void
    {
        Backend::runtime(__METHOD__)->cancel($this->stream);
    }

    /** @return resource */
    public function stream()
    {
        return $this->stream;
    }

    public function state(): TaskState
    {
        return Backend::runtime(__METHOD__)->state($this->stream);
    }

    public function getIterator(): \Iterator
    {
        return (function () {
            for ($number = 0; ($update = $this->read()) !== null; ++$number) {
                yield $number => $update;
            }
        })();
    }

    public static function all(array|\Traversable $tasks): array
    {
        return Backend::runtime(__METHOD__)->all(__METHOD__, $tasks);
    }

    public static function any(array|\Traversable $tasks): mixed
    {
        return Backend::runtime(__METHOD__)->first(__METHOD__, $tasks, true);
    }

    public static function race(array|\Traversable $tasks): mixed
    {
        return Backend::runtime(__METHOD__)->first(__METHOD__, $tasks, false);
    }
}
