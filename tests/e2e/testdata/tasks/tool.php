<?php

// The worker of the task tests: does with each task what its payload says, {"do": ..., more}.

final class Keeper
{
    public static $inStatic;
    public $inProperty;
}

enum OnlyHere: string
{
    case Known = 'known';
}

function perform($stream, array $payload): bool
{
    switch ($payload['do']) {
        case 'echo':
            frankenphp_worker_task_update($stream, ['echo' => $payload['value'] ?? null]);
            return true;
        case 'measure': // a large payload is not worth sending back
            frankenphp_worker_task_update($stream, ['size' => strlen($payload['value']), 'hash' => hash('xxh128', $payload['value'])]);
            return true;
        case 'large':
            frankenphp_worker_task_update($stream, ['value' => str_repeat("\0\xff\n", intdiv($payload['size'], 3))]);
            return true;
        case 'count':
            for ($i = 1; $i <= $payload['to']; ++$i) {
                frankenphp_worker_task_update($stream, ['n' => $i]);
            }
            return true;
        case 'nothing':
            return true;
        case 'about':
            global $argv, $argc;
            frankenphp_worker_task_update($stream, [
                'name' => $_SERVER['FRANKENPHP_WORKER_NAME'],
                'background' => $_SERVER['FRANKENPHP_WORKER_BACKGROUND'],
                'worker' => isset($_SERVER['FRANKENPHP_WORKER']),
                'argv' => [basename($argv[0]), $argv[1], $argc],
                'limit' => ini_get('max_execution_time'),
                'env' => $_SERVER['WORKER_ENV'] ?? null,
                'getenv' => getenv('WORKER_ENV'),
            ]);
            return true;
        case 'meet': // until another task has come to the same file
            file_put_contents($payload['file'], '.', FILE_APPEND);
            for ($i = 0; $i < 10000 && filesize($payload['file']) < 2; ++$i) {
                usleep(1000);
                clearstatcache();
            }
            frankenphp_worker_task_update($stream, ['met' => filesize($payload['file']) === 2]);
            return true;
        case 'gate': // until the test opens the named pipe
            frankenphp_worker_task_update($stream, ['at the gate' => true]);
            file_get_contents($payload['gate']);
            frankenphp_worker_task_update($stream, ['passed' => true]);
            return true;
        case 'hold': // until its sender has gone
            frankenphp_worker_task_update($stream, ['holding' => true]);
            $read = [$stream];
            $none = null;
            stream_select($read, $none, $none, 30);
            $seen = [count($read), feof($stream)];
            try {
                frankenphp_worker_task_update($stream, ['late' => true]);
            } catch (RuntimeException $e) {
                $seen[] = $e->getMessage();
            }
            file_put_contents($payload['file'], json_encode($seen));
            return true;
        case 'flood': // more updates than there is room for
            try {
                for ($i = 1;; ++$i) {
                    frankenphp_worker_task_update($stream, ['n' => $i]);
                }
            } catch (RuntimeException $e) {
                file_put_contents($payload['file'], $e->getMessage());
            }
            return true;
        case 'print':
            echo "printed by the worker\n";
            fwrite(fopen('php://stderr', 'w'), "to stderr by the worker\n");
            frankenphp_log('logged by the worker', 4, ['n' => 1]);
            trigger_error('noticed by the worker', E_USER_NOTICE);
            return true;
        case 'pid':
            frankenphp_worker_task_update($stream, ['worker' => spl_object_id($GLOBALS['self']), 'run' => $GLOBALS['run']]);
            return true;

        // Ways for the worker's side to end other than fclose().
        case 'return':
            $GLOBALS['over'] = true;
            $GLOBALS['kept'] = $stream;
            return false;
        case 'exit':
            exit($payload['status']);
        case 'throw':
            throw new DomainException('the worker threw');
        case 'error':
            undefined_function();
        case 'fatal':
            eval('final class Broken implements Countable {}');
        case 'memory':
            str_repeat('x', 1 << 40);
        case 'time':
            set_time_limit(1);
            while (true);
        case 'static':
            Keeper::$inStatic = $stream;
            exit(0);
        case 'property':
            $keeper = new Keeper();
            $keeper->inProperty = $stream;
            exit(0);
        case 'closure':
            $GLOBALS['closure'] = fn() => $stream;
            exit(0);
        case 'cycle':
            $a = new stdClass();
            $a->self = $a;
            $a->stream = $stream;
            exit(0);
        case 'generator':
            $GLOBALS['generator'] = (function () use ($stream) { yield $stream; })();
            $GLOBALS['generator']->current();
            exit(0);
        case 'fiber':
            (new Fiber(function () use ($stream) { $kept = $stream; exit(0); }))->start();
        case 'let go':
            return false;
        case 'caught': // an exception that is caught, and the task completed all the same
            try {
                throw new DomainException();
            } catch (DomainException) {
            }
            return true;
        case 'finally': // as documented: fclose() in finally completes even then
            try {
                throw new DomainException('after the close');
            } finally {
                fclose($stream);
            }
        case 'second': // keeps this one, takes another, and dies with both
            frankenphp_worker_task_update($stream, ['first' => true]);
            while (!($other = frankenphp_worker_task_receive())) {
                $read = [$GLOBALS['signals']];
                $none = null;
                stream_select($read, $none, $none, 30);
            }
            frankenphp_worker_task_update($other[0], ['second' => true]);
            if ($payload['close'] ?? false) {
                fclose($other[0]);
            }
            exit(1);
    }
    throw new LogicException("the tool can't do '{$payload['do']}'");
}

$self = new stdClass();
$run = bin2hex(random_bytes(8));
$over = false;
$signals = frankenphp_worker_get_signaling_stream();
while (!$over && ($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    while (!$over && ($task = frankenphp_worker_task_receive())) {
        [$stream, $payload] = $task;
        unset($task);
        if (perform($stream, $payload)) {
            fclose($stream);
        }
        unset($stream);
    }
}
