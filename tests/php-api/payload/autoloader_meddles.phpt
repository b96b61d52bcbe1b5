--TEST--
An autoloader that runs while a payload is decoded may read the next update, close the stream, send tasks, suspend its Fiber
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,queue=4;other=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
const ENUMS = <<<'PHP'
    foreach (['ReadsOn', 'Closes', 'Sends', 'Suspends', 'Dies'] as $class) {
        class_exists($class) || eval("enum $class { case One; }");
    }
    PHP;
// Strings on both sides of the enum: they must still be there when the enum has been found.
const TWO_UPDATES = ENUMS . <<<'PHP'
    $before = str_repeat('before', 5000);
    $after = str_repeat('after', 5000);
    frankenphp_worker_task_update($stream, [$before, constant($payload['class'] . '::One'), $after]);
    frankenphp_worker_task_update($stream, ['second' => str_repeat('second', 5000)]);
    fclose($stream);
    PHP;
$task = null;
spl_autoload_register(function ($class) use (&$task) {
    switch ($class) {
        case 'ReadsOn':
            echo '  second: ', strlen(frankenphp_worker_task_read($task)['second']), "\n";
            var_dump(frankenphp_worker_task_read($task));
            break;
        case 'Closes':
            fclose($task);
            break;
        case 'Sends':
            echo '  answer: ', ask('reply($stream, "meanwhile");', worker: 'other'), "\n";
            break;
        case 'Suspends':
            Fiber::suspend('in the autoloader');
            break;
    }
    eval("enum $class { case One; }");
});
foreach (['ReadsOn', 'Closes', 'Sends', 'Suspends'] as $class) {
    echo $class, "\n";
    $task = start(TWO_UPDATES, ['class' => $class]);
    $fiber = new Fiber(function () use ($task) {
        [$before, $enum, $after] = frankenphp_worker_task_read($task);
        var_dump($before === str_repeat('before', 5000), $enum, $after === str_repeat('after', 5000));
    });
    $where = $fiber->start();
    if (!$fiber->isTerminated()) {
        echo '  ', $where, "\n";
        echo '  second: ', strlen(frankenphp_worker_task_read($task)['second']), "\n";
        fclose($task);
        $fiber->resume();
    }
}

// The same in a worker that receives.
ask(<<<'PHP'
    spl_autoload_register(function ($class) {
        switch ($class) {
            case 'WorkerSends':
                $GLOBALS['got'] = (new ReflectionFunction('relay'))->invoke();
                break;
            case 'WorkerCloses':
                foreach (get_resources('stream') as $one) {
                    if (stream_get_meta_data($one)['stream_type'] === 'received task') {
                        fclose($one);
                    }
                }
                break;
        }
        eval("enum $class { case One; }");
    });
    function relay() {
        $task = frankenphp_worker_task_send('other', ['run' => 'reply($stream, "relayed");']);
        return frankenphp_worker_task_read($task)['reply'];
    }
    reply($stream, 1);
    PHP);
enum WorkerSends { case One; }
enum WorkerCloses { case One; }
attempt('worker sends', fn() => ask('reply($stream, [$GLOBALS["got"], strlen($payload["after"])]);', ['e' => WorkerSends::One, 'after' => str_repeat('x', 9000)]));
attempt('worker closes', fn() => outcome(start('echo "not run";', ['e' => WorkerCloses::One, 'after' => str_repeat('x', 9000)])));
attempt('alive', fn() => ask('reply($stream, 1);'));
?>
--EXPECT--
ReadsOn
  second: 30000
NULL
bool(true)
enum(ReadsOn::One)
bool(true)
Closes
bool(true)
enum(Closes::One)
bool(true)
Sends
  answer: meanwhile
bool(true)
enum(Sends::One)
bool(true)
Suspends
  in the autoloader
  second: 30000
bool(true)
enum(Suspends::One)
bool(true)
worker sends: ["relayed",9000]
worker closes: "completed"
alive: 1
