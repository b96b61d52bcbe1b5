<?php

// Sends tasks and times them: /driver.php?do=echo&worker=select&payload=keys&ms=150. Answers as Bench\measure() does.

namespace Bench;

require __DIR__ . '/lib.php';
set_time_limit(0);
ini_set('memory_limit', '2G');
header('Content-Type: application/octet-stream');

$worker = $_GET['worker'] ?? '';
$ms = (int) ($_GET['ms'] ?? 100);
$least = (int) ($_GET['least'] ?? 10);
$count = (int) ($_GET['count'] ?? 1);
$payload = isset($_GET['payload']) ? payload($_GET['payload']) : [];

$send = static function (array $payload) use ($worker) {
    return frankenphp_worker_task_send($worker, $payload);
};
$read = static function ($stream): ?array {
    $answer = frankenphp_worker_task_read($stream);
    fclose($stream);
    return $answer;
};
$same = static function (mixed $answer) use ($payload): void {
    must($answer === $payload, 'not what was sent');
};
$all_same = static function (array $answers) use ($count, $payload): void {
    must($answers === array_fill(0, $count, $payload), "not $count times what was sent");
};

switch ($_GET['do']) {
    case 'probe':
        echo json_encode(['php' => PHP_VERSION, 'sapi' => PHP_SAPI, 'opcache' => function_exists('opcache_get_status') && (opcache_get_status(false)['opcache_enabled'] ?? false),
            'objects' => class_exists(\Igor\Inbox::class), 'tasks' => function_exists('frankenphp_worker_task_send'),
            'snapshots' => function_exists('frankenphp_worker_get_vars')]);
        break;

    case 'echo': // one task after the other, with $pause microseconds between them
        $pause = (int) ($_GET['pause'] ?? 0);
        echo measure($ms, $least, static fn () => $read($send($payload)), $same, $pause > 0 ? static fn () => usleep($pause) : null);
        break;

    case 'await': // the same with Igor's objects, the answer being the task's value
        echo measure($ms, $least, static fn () => \Igor\Worker::send($worker, $payload)->await(), $same);
        break;

    case 'many': // $count tasks sent, then all answers read
        $peak = 0;
        $before = descriptors();
        $streams = [];
        for ($i = 0; $i < $count; ++$i) {
            $streams[] = $send($payload);
        }
        $peak = descriptors() - $before;
        $all_same(array_map($read, $streams));
        echo measure($ms, $least, static function () use ($count, $send, $read, $payload): array {
            $streams = [];
            for ($i = 0; $i < $count; ++$i) {
                $streams[] = $send($payload);
            }
            return array_map($read, $streams);
        }, $all_same, null, ['values' => ['descriptors' => $peak]]);
        break;

    case 'updates': // $count updates of one task
        echo measure($ms, $least, static function () use ($count, $send): int {
            $stream = $send(['updates' => $count]);
            for ($i = 0; ($update = frankenphp_worker_task_read($stream)) !== null; ++$i) {
                must($update === ['done' => $i], "update $i");
            }
            fclose($stream);
            return $i;
        }, static fn (int $got) => must($got === $count, "$got of $count updates"));
        break;

    case 'streams': // stream_select() on one task that is answered and $count - 1 that are not
        $quiet = [];
        for ($i = 1; $i < $count; ++$i) {
            $quiet[] = $send(['hold']);
        }
        echo measure($ms, $least, static function () use ($send, $read, $payload, $quiet): ?array {
            $stream = $send($payload);
            do {
                $ready = [...$quiet, $stream];
                $write = $except = [];
                $number = stream_select($ready, $write, $except, null);
            } while ($number === false);
            must($ready === [$stream] || in_array($stream, $ready, true), 'another stream is ready');
            return $read($stream);
        }, $same);
        $read($send(['release']));
        array_map(fclose(...), $quiet);
        break;

    case 'cold': // the first task of a worker that does not run yet; each has a name of its own
        $number = 0;
        echo measure(0, $count, static function () use (&$number, $read, $payload): ?array {
            return $read(frankenphp_worker_task_send('cold-' . getmypid() . '-' . hrtime(true) . '-' . ++$number, $payload));
        }, $same);
        break;

    case 'first': // the first look at a snapshot within a request
        hrtime(true); // the first time that a request tells takes longer
        $start = hrtime(true);
        $vars = frankenphp_worker_get_vars($worker);
        $end = hrtime(true);
        must($vars['first'] === $vars['last'], 'a torn snapshot');
        echo json_encode(['begin' => $start, 'end' => $end, 'before' => [0, 0, 0], 'after' => [0, 0, 0], 'count' => 1]), "\n", pack('P', $end - $start);
        break;

    case 'vars': // further looks, a thousand at a time: one alone takes less than telling the time
        $vars = frankenphp_worker_get_vars($worker);
        $empty = PHP_INT_MAX;
        for ($try = 0; $try < 20; ++$try) {
            $start = hrtime(true);
            for ($i = 0; $i < 1000; ++$i) {
            }
            $empty = min($empty, hrtime(true) - $start);
        }
        echo measure($ms, $least, static function () use ($worker): array {
            for ($i = 0; $i < 1000; ++$i) {
                $vars = frankenphp_worker_get_vars($worker);
            }
            return $vars;
        }, static fn (array $vars) => must($vars['first'] === $vars['last'], 'a torn snapshot'), null, ['each' => 1000, 'less' => $empty]);
        break;

    case 'codec': // what serialize() and unserialize() need for this payload
        echo measure($ms, $least, static fn () => unserialize(serialize($payload)), $same);
        break;

    default:
        http_response_code(404);
}
