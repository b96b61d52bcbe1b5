<?php

// The sender's side. It keeps what it knows of each task and writes that to the history at the end of the request, however
// that comes: a task of which it learned no end is one that its own end cancels.

function serve_soak(): void
{
    History::open('senders');
    $batch = new Batch($_GET);
    try {
        echo match ($batch->do) {
            'hello' => 'ok',
            'jobs' => $batch->jobs(),
            'cancel' => $batch->cancel(),
            'disconnect' => $batch->disconnect(),
            'snapshot' => $batch->snapshot(),
            'overflow' => $batch->overflow(),
            default => $batch->updates(),
        };
    } catch (Throwable $e) {
        http_response_code(500);
        echo $e;
    }
    $batch->write();
    History::close();
}

final class Batch
{
    public readonly string $do;
    private readonly string $id;
    private readonly string $pool;
    private readonly int $count;
    private readonly int $size;
    private array $tasks = [];

    public function __construct(array $query)
    {
        $this->do = $query['do'];
        $this->id = $query['id'];
        $this->pool = $query['pool'] ?? '';
        $this->count = (int) ($query['count'] ?? 0);
        $this->size = (int) ($query['size'] ?? 0);
    }

    public function write(): void
    {
        $lines = [];
        foreach ($this->tasks as $id => [$pool, $end, $updates]) {
            $lines[] = "sent $id $pool $end $updates";
        }
        $this->tasks = [];
        if ($lines) {
            History::write(...$lines);
        }
    }

    private function payload(int $i, array $more = []): array
    {
        return sealed("$this->id-$i", 0, str_repeat('p', $this->size)) + $more + ['do' => $this->do, 'updates' => 0, 'size' => 0];
    }

    private function accepted(int $i): void
    {
        $this->tasks["$this->id-$i"] = [$this->pool, 'Cancelled', 0];
    }

    private function ended(int $i, string $end, int $updates): void
    {
        $this->tasks["$this->id-$i"] = [$this->pool, $end, $updates];
    }

    /** Reads a task to its end; the updates are checked. */
    private function read(int $i, $stream): string
    {
        $n = 0;
        try {
            for (; ($update = frankenphp_worker_task_read($stream)) !== null; ++$n) {
                check_seal($update, "$this->id-$i", $n);
            }
            $end = 'Completed';
        } catch (RuntimeException $e) {
            $reason = $e->getPrevious();
            if (!$reason instanceof Igor\TaskFailed) {
                throw $e;
            }
            $end = $reason->getReason()->name;
        }
        $this->ended($i, $end, $n);
        return $end;
    }

    /** Up to 16 tasks at once, by the functions. */
    public function updates(): string
    {
        $streams = [];
        for ($i = 0; $i < $this->count; ++$i) {
            $more = ['updates' => $i % 4, 'size' => $this->size];
            $streams[$i] = frankenphp_worker_task_send($this->pool, $this->payload($i, $more));
            $this->accepted($i);
            if (count($streams) === 16) {
                $this->read(array_key_first($streams), array_shift_key($streams));
            }
        }
        while ($streams) {
            $this->read(array_key_first($streams), array_shift_key($streams));
        }
        return 'ok';
    }

    /** All at once, by the objects. One that fails is expected to. */
    public function jobs(): string
    {
        $tasks = [];
        for ($i = 0; $i < $this->count; ++$i) {
            $do = $i % 10 === 9 ? 'fail' : 'complete';
            $tasks[$i] = Igor\Worker::send($this->pool, $this->payload($i, ['do' => $do]));
            $this->accepted($i);
        }
        foreach ($tasks as $i => $task) {
            try {
                check_seal($task->await(), "$this->id-$i", 1);
                $this->ended($i, 'Completed', 0);
            } catch (Igor\TaskFailed $e) {
                $this->ended($i, $e->getReason()->name, 0);
            }
        }
        return 'ok';
    }

    /** Some updates are read, then the sender has seen enough. */
    public function cancel(): string
    {
        for ($i = 0; $i < $this->count; ++$i) {
            $stream = frankenphp_worker_task_send($this->pool, $this->payload($i, ['do' => 'hold', 'updates' => 3]));
            $this->accepted($i);
            for ($n = 0; $n < $i % 4; ++$n) {
                check_seal(frankenphp_worker_task_read($stream), "$this->id-$i", $n);
            }
            fclose($stream);
            $this->ended($i, 'Cancelled', $n);
        }
        return 'ok';
    }

    /** Holds tasks until the client goes away: then the script ends at its next output, and the tasks with it. */
    public function disconnect(): string
    {
        register_shutdown_function(function () {
            History::open('senders');
            $this->write();
        });
        $streams = [];
        for ($i = 0; $i < $this->count; ++$i) {
            $streams[] = $stream = frankenphp_worker_task_send($this->pool, $this->payload($i, ['do' => 'hold', 'updates' => 1]));
            $this->accepted($i);
            check_seal(frankenphp_worker_task_read($stream), "$this->id-$i", 0);
            $this->ended($i, 'Cancelled', 1);
        }
        for (;;) {
            echo '.';
            flush();
            usleep(1000);
        }
    }

    /** What was published is one whole snapshot, whoever publishes the next meanwhile. */
    public function snapshot(): string
    {
        for ($i = 0; $i < $this->count; ++$i) {
            $stream = frankenphp_worker_task_send($this->pool, $this->payload($i, ['do' => 'publish', 'value' => $i]));
            $this->accepted($i);
            $this->read($i, $stream);
            $vars = frankenphp_worker_get_vars($this->pool);
            check_seal($vars, 'snapshot', $vars['n']);
        }
        return 'ok';
    }

    /** A full pool refuses at once; what it took it does. */
    public function overflow(): string
    {
        $streams = [];
        for ($i = 0; $i < $this->count; ++$i) {
            try {
                $streams[$i] = frankenphp_worker_task_send($this->pool, $this->payload($i, ['do' => 'complete']));
                $this->accepted($i);
            } catch (Igor\Overflow) {
                $this->ended($i, 'refused', 0);
            }
        }
        foreach ($streams as $i => $stream) {
            $this->read($i, $stream);
        }
        return 'ok';
    }
}

function array_shift_key(array &$streams)
{
    $key = array_key_first($streams);
    $first = $streams[$key];
    unset($streams[$key]);
    return $first;
}
