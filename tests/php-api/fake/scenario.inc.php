<?php

// The fakes by themselves: what a unit test of somebody's code does with them. Run without Igor.

require $argv[1] . '/autoload.php';

use Igor\{Inbox, Job, Overflow, Reason, Task, TaskFailed, Worker};
use Igor\Testing\{FakeWorkers, WorkerEnds};

function check(string $what, mixed $is, mixed $want = true): void
{
    if ($is !== $want) {
        echo "$what: ", var_export($is, true), ', not ', var_export($want, true), "\n";
    }
}
function thrown(callable $do): string
{
    try {
        $do();
        return 'nothing';
    } catch (Throwable $e) {
        return get_class($e) . ': ' . $e->getMessage() . ($e->getPrevious() ? ' <- ' . $e->getPrevious()->getMessage() : '');
    }
}
$seconds = function (callable $do): float {
    $begin = hrtime(true);
    $do();
    return (hrtime(true) - $begin) / 1e9;
};
$needs = ' needs the Igor server; a unit test can install fake workers (Igor\Testing\FakeWorkers::install())';

// Nothing installed: everything is declared, and says what it lacks.
check('send', thrown(fn() => Worker::send('a', [])), "RuntimeException: Igor\\Worker::send()$needs");
check('current', thrown(fn() => Worker::current()), "RuntimeException: Igor\\Worker::current()$needs");
foreach (['task_send' => ['a', []], 'task_read' => [STDIN], 'task_receive' => [], 'task_update' => [STDIN, []], 'get_signaling_stream' => [],
    'set_vars' => [[]], 'get_vars' => ['a']] as $name => $arguments) {
    check($name, thrown(fn() => "frankenphp_worker_$name"(...$arguments)), "RuntimeException: frankenphp_worker_$name()$needs");
}
check('worker mode', function_exists('frankenphp_handle_request'), false);

// A function for each task.
$workers = FakeWorkers::install();
$workers->handle('upper', fn(Job $job) => strtoupper($job->payload['text']));
check('handle', Worker::send('upper', ['text' => 'abc'])->await(), 'ABC');
$workers->handle('fails', fn(Job $job) => throw new DomainException('of the handler'));
check('handle, its error', str_starts_with(thrown(fn() => Worker::send('fails', [])->await()), 'Igor\TaskFailed: UncaughtException: DomainException: of the handler in '));
check('handle goes on', Worker::send('upper', ['text' => 'x'])->await(), 'X');
check('lazily, once', $workers->starts('upper'), 1);
check('payload', thrown(fn() => Worker::send('upper', ['user' => ['photo' => STDIN]])),
    "ValueError: \$payload['user']['photo']: resource cannot be sent; null, bool, int, float, string, array and enum cases can");
check('a copy', (function () use ($workers) {
    $workers->handle('keep', function (Job $job) { $p = $job->payload; $p['list'][] = 'changed'; return $p; });
    $mine = ['list' => [1]];
    Worker::send('keep', $mine)->await();
    return $mine;
})(), ['list' => [1]]);

// How a worker ends, and what its sender is told.
foreach (Reason::cases() as $reason) {
    $workers->worker($reason->value, function (Inbox $inbox) use ($reason) {
        $job = $inbox->receive();
        $job->update(['before' => true]);
        throw new WorkerEnds($reason, 'as told', 7);
    });
    $task = frankenphp_worker_task_send($reason->value, []);
    check("$reason->name, its update", frankenphp_worker_task_read($task), ['before' => true]);
    try {
        frankenphp_worker_task_read($task);
    } catch (RuntimeException $e) {
        check("$reason->name, said", $e->getMessage(), 'background worker exited without completing the task');
        check("$reason->name", [$e->getPrevious()->getReason(), $e->getPrevious()->getErrorMessage(), $e->getPrevious()->getExitStatus()], [$reason, 'as told', 7]);
    }
}
$workers->worker('returns', function (Inbox $inbox) { static $held; $held = $inbox->receive(); });
check('returns', thrown(fn() => Worker::send('returns', [])->await()), 'Igor\TaskFailed: Exited: the script ended with exit status 0');
check('starts again', thrown(fn() => Worker::send('returns', [])->await()), 'Igor\TaskFailed: Exited: the script ended with exit status 0');
check('starts', $workers->starts('returns'), 2);
$workers->worker('boots badly', function () { throw new DomainException('no database'); });
check('at boot', strtok(thrown(fn() => Worker::send('boots badly', [])), '<'),
    'RuntimeException: background worker exited without completing the task ');
check('at boot, vars', str_contains(thrown(fn() => frankenphp_worker_get_vars('boots badly')), 'UncaughtException: DomainException: no database in '));

// Time is the fakes' own.
$workers->worker('idle', function (Inbox $inbox) { while ($job = $inbox->receive()) $inbox->receive(60); });
$workers->worker('busy', function (Inbox $inbox) { $job = $inbox->receive(); $inbox->receive(3600); $job->complete('at last'); });
$took = $seconds(function () {
    check('deadline', thrown(fn() => Worker::send('idle', [], deadline: 30)->await()), 'Igor\TaskFailed: Deadline: the task\'s time ran out');
    $task = Worker::send('busy', []);
    check('an hour', $task->await(), 'at last');
    check('timeout', thrown(fn() => frankenphp_worker_get_vars('idle', 1000)), 'RuntimeException: timeout waiting for background worker "idle" to publish its vars');
});
check('no time', $took < 1);
$workers->worker('never', function (Inbox $inbox) { $kept = [$inbox->receive(), $inbox->receive()]; });
check('for ever', str_starts_with(thrown(fn() => Worker::send('never', [])->await()),
    'LogicException: fake workers: everybody would wait for ever. Here: for the end of a task of "never"'));
$workers->worker('late', function (Inbox $inbox) { while ($job = $inbox->receive()) { $kept[] = $job; } }, timeout: 10);
$task = Worker::send('late', []);
$workers->advance(9);
check('before its time', $task->state()->name, 'Running');
$workers->advance(2);
check('after its time', $task->state()->name, 'TimedOut');

// Places.
$workers->worker('narrow', function (Inbox $inbox) { $kept = $inbox->receive(); Fiber::suspend(); }, queue: 1, overflowReject: true);
$a = Worker::send('narrow', []);
$b = Worker::send('narrow', []);
check('full', thrown(fn() => Worker::send('narrow', [])), 'Igor\Overflow: background worker "narrow" is full (overflow reject)');

// Snapshots, with and without a worker.
$workers->vars('settings', ['v' => 1]);
check('vars', frankenphp_worker_get_vars('settings'), ['v' => 1]);
$workers->vars('settings', ['v' => 2]);
check('vars, newer', frankenphp_worker_get_vars(['settings']), ['settings' => ['v' => 2]]);

// A catch-all, and names that are nobody's.
check('nobody', thrown(fn() => Worker::send('nobody', [])),
    'RuntimeException: no background worker named "nobody" in this php_server or the global block, and no catch-all');
$workers->worker('', fn(Inbox $inbox) => $inbox->receive()->complete($_SERVER['FRANKENPHP_WORKER_NAME']), maxThreads: 2);
check('catch-all', [Worker::send('x', [])->await(), Worker::send('y', [])->await(), Worker::send('x', [])->await()], ['x', 'y', 'x']);
check('catch-all, full', thrown(fn() => Worker::send('z', [])),
    'RuntimeException: background worker "z" cannot be started: the catch-all runs as many names as its max_threads allows');
check('outside', isset($_SERVER['FRANKENPHP_WORKER_NAME']), false);

// Workers that send to workers, and groups.
$workers->handle('twice', fn(Job $job) => Worker::send('upper', $job->payload)->await() . Worker::send('upper', $job->payload)->await());
check('chain', Worker::send('twice', ['text' => 'ab'])->await(), 'ABAB');
$workers->worker('pool', function (Inbox $inbox) { while ($job = $inbox->receive()) $job->complete($job->payload['n'] ** 2); }, num: 3);
check('all', Task::all(array_map(fn($n) => Worker::send('pool', ['n' => $n]), ['a' => 1, 'b' => 2, 'c' => 3, 'd' => 4])), ['a' => 1, 'b' => 4, 'c' => 9, 'd' => 16]);

// Being told to stop: a worker that listens ends its task first.
$workers->worker('polite', function (Inbox $inbox) {
    $job = $inbox->receive();
    $inbox->receive(); // until it is to stop
    $job->complete($inbox->isStopping() ? 'in order' : 'what?');
});
$task = Worker::send('polite', []);
$workers->run()->stop('polite');
check('stop', $task->await(), 'in order');
$workers->worker('deaf', function (Inbox $inbox) { $job = $inbox->receive(); while (true) $inbox->receive(1e9) ?? Fiber::suspend(); });
$task = Worker::send('deaf', []);
$workers->run()->stop('deaf');
check('deaf', thrown(fn() => $task->await()), 'Igor\TaskFailed: Shutdown: the script was stopped because it did not end by itself in time');

// stream_select(): several of both kinds at once, with a socket of the test's own among them, and timeouts.
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$workers->worker('loop', function () {
    $signals = frankenphp_worker_get_signaling_stream();
    $held = [];
    $left = [];
    while (true) {
        $read = [$signals, ...$held];
        $none = null;
        stream_select($read, $none, $none, 0, 500);
        if (in_array($signals, $read, true)) {
            if (fgets($signals) === "stop\n") {
                return;
            }
            while ([$stream, $payload] = frankenphp_worker_task_receive()) {
                $held[$payload['n']] = $stream;
                $left[$payload['n']] = $payload['rounds'];
            }
        }
        foreach ($held as $n => $stream) {
            if (feof($stream)) {
                unset($held[$n]);
            } elseif (--$left[$n] === 0) {
                frankenphp_worker_task_update($stream, ['held' => count($held)]);
                fclose($stream);
                unset($held[$n]);
            }
        }
    }
});
$tasks = [];
foreach ([1 => 90, 2 => 30, 3 => 60] as $n => $rounds) {
    $tasks[$n] = frankenphp_worker_task_send('loop', ['n' => $n, 'rounds' => $rounds]);
}
$order = $most = [];
fwrite($far, "hello\n");
while ($tasks || $near) {
    $read = $tasks + ($near ? ['socket' => $near] : []);
    $none = null;
    check('select', (bool) stream_select($read, $none, $none, 5));
    foreach ($read as $n => $stream) {
        if ($n === 'socket') {
            check('socket', fgets($near), "hello\n");
            $near = null;
        } elseif (($update = frankenphp_worker_task_read($stream)) !== null) {
            $order[] = $n;
            $most[] = $update['held'];
        } else {
            unset($tasks[$n]);
        }
    }
}
check('in the order of their rounds', $order, [2, 3, 1]);
check('held at once', $most, [3, 2, 1]);
$quiet = [frankenphp_worker_task_send('idle', [])];
$none = null;
check('select, nothing comes', stream_select($quiet, $none, $none, 0, 10000), 0);

// A script, in a file: with its name, and without the cycle collector while it is there.
file_put_contents($file = tempnam(sys_get_temp_dir(), 'igor-fake'), '<?php
    $inbox = Igor\Worker::current();
    while ($job = $inbox->receive()) {
        $job->complete([$argv[1], $_SERVER["FRANKENPHP_WORKER_NAME"], $_SERVER["FRANKENPHP_WORKER_BACKGROUND"], basename(__FILE__) === basename($argv[0])]);
        unset($job);
    }');
$workers->worker('script', $file);
check('collector', gc_enabled());
check('script', Worker::send('script', [])->await(), ['script', 'script', true, true]);
check('collector, with a script', gc_enabled(), false);

FakeWorkers::uninstall();
unlink($file);
check('collector, after it', gc_enabled());
check('uninstalled', thrown(fn() => Worker::send('upper', ['text' => 'x'])), "RuntimeException: Igor\\Worker::send()$needs");
$workers = FakeWorkers::install();
check('installed anew', thrown(fn() => Worker::send('upper', ['text' => 'x'])), 'RuntimeException: no background worker configured in this php_server');
echo "over\n";
