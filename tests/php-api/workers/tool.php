<?php

declare(strict_types=1);

/**
 * The worker of most tests here: does with each task what its payload says, {"do": ..., more}.
 *
 * Signals are read with fgets(), tasks are taken until there is none. Tests of other ways to wait have
 * workers of their own.
 */

enum Suit: string
{
    case Hearts = 'h';
    case Spades = 's';
}

enum Direction
{
    case Up;
    case Down;
}

final class Keeper
{
    public static $inStatic;
    public $inProperty;
}

/** Does a task; true when it is to be completed afterwards. */
function perform($stream, array $payload): bool
{
    switch ($payload['do']) {
        case 'echo': // answers with what it was sent
            frankenphp_worker_task_update($stream, ['echo' => $payload['value']]);
            return true;
        case 'count': // sends `to` updates
            for ($i = 1; $i <= $payload['to']; ++$i) {
                frankenphp_worker_task_update($stream, ['n' => $i]);
            }
            return true;
        case 'nothing':
            return true;
        case 'sleep':
            usleep((int) ($payload['seconds'] * 1e6));
            frankenphp_worker_task_update($stream, ['slept' => $payload['seconds']]);
            return true;
        case 'about': // what a worker knows of itself
            frankenphp_worker_task_update($stream, [
                'name' => $_SERVER['FRANKENPHP_WORKER_NAME'],
                'background' => $_SERVER['FRANKENPHP_WORKER_BACKGROUND'],
                'argv' => [basename($GLOBALS['argv'][0]), ...array_slice($GLOBALS['argv'], 1)],
                'max_execution_time' => ini_get('max_execution_time'),
            ]);
            return true;
        case 'exit':
            exit($payload['status']);
        case 'throw':
            throw new DomainException('the worker threw');
        case 'fatal': // a compile-time error, which no catch sees
            eval('class Broken implements Countable {}');
        case 'memory':
            str_repeat('x', 1 << 40);
        case 'static':
            Keeper::$inStatic = $stream;
            exit($payload['status'] ?? 0);
        case 'property':
            $keeper = new Keeper();
            $keeper->inProperty = $stream;
            exit($payload['status'] ?? 0);
        case 'closure':
            $closure = fn() => $stream;
            $GLOBALS['kept'] = $closure;
            exit($payload['status'] ?? 0);
        case 'let go': // no fclose, and nothing holds the stream any more
            return false;
        case 'until closed': // tells when the sender has gone
            frankenphp_worker_task_update($stream, ['started' => true]);
            while (!feof($stream)) {
                $read = [$stream];
                $none = null;
                stream_select($read, $none, $none, 5);
            }
            file_put_contents($payload['file'], 'eof');
            try {
                frankenphp_worker_task_update($stream, ['late' => true]);
            } catch (RuntimeException $e) {
                file_put_contents($payload['file'], "eof, {$e->getMessage()}");
            }
            return true;
        case 'flood': // more updates than the FIFO holds, until it is told to end
            try {
                for ($i = 1;; ++$i) {
                    frankenphp_worker_task_update($stream, ['n' => $i]);
                }
            } catch (RuntimeException $e) {
                file_put_contents($payload['file'], $e->getMessage());
            }
            return true;
    }
    throw new LogicException("the tool can't do '{$payload['do']}'");
}

$signals = frankenphp_worker_get_signaling_stream();
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    while ($task = frankenphp_worker_task_receive()) {
        [$stream, $payload] = $task;
        unset($task);
        if (perform($stream, $payload)) {
            fclose($stream);
        }
        unset($stream);
    }
}
