--TEST--
Enums are autoloaded by whoever receives them; an autoloader that throws, or loads something else, is told of
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
enum Level: int { case Low = 1; case High = 3; }
enum Plain { case One; const Two = self::One; }
const LOADER = <<<'PHP'
    static $once;
    $once ??= spl_autoload_register(function ($class) {
        $GLOBALS['asked'][] = $class;
        match ($class) {
            'Level' => eval('enum Level: int { case Low = 1; case High = 3; }'),
            'Plain' => eval('enum Plain { case Other; const One = self::Other; }'),
            'Thrower' => throw new DomainException('the autoloader threw'),
            'NotAnEnum' => eval('final class NotAnEnum { const One = 1; }'),
            default => null,
        };
    });
    reply($stream, true);
    PHP;
ask(LOADER);
// Worker's side. The payload is more than the enum: what was made before it is freed again.
attempt('loaded', fn() => ask('reply($stream, [$payload["v"][1] === Level::High, $GLOBALS["asked"]]);', ['v' => ['before', Level::High]]));
attempt('loaded once', fn() => ask('reply($stream, count($GLOBALS["asked"]));', ['v' => Level::Low]));
foreach (['Thrower', 'NotAnEnum', 'Nowhere'] as $class) {
    eval("enum $class { case One; }");
    attempt($class, fn() => ask('reply($stream, 1);', ['before' => [1, 'two'], 'v' => constant("$class::One")]));
    ask(LOADER);
}
attempt('constant that is no case', fn() => ask('reply($stream, 1);', ['v' => Plain::One]));

// Sender's side: the same in task_read; the update is gone, the task goes on.
$task = start(<<<'PHP'
    enum FromWorker { case Known; case Unknown; }
    frankenphp_worker_task_update($stream, ['e' => FromWorker::Unknown]);
    frankenphp_worker_task_update($stream, ['e' => FromWorker::Known]);
    frankenphp_worker_task_update($stream, ['n' => 3]);
    fclose($stream);
    PHP);
attempt('read, without a class', fn() => frankenphp_worker_task_read($task));
eval('enum FromWorker { case Known; }');
var_dump(frankenphp_worker_task_read($task));
attempt('read on', fn() => frankenphp_worker_task_read($task));
attempt('the end', fn() => frankenphp_worker_task_read($task));
$task = start('frankenphp_worker_task_update($stream, ["e" => FromWorker::Unknown]); fclose($stream);' );
attempt('read, without the case', fn() => frankenphp_worker_task_read($task));
?>
--EXPECTF--
loaded: [true,["Level"]]
loaded once: 1
Thrower: RuntimeException: background worker exited without completing the task
  because UncaughtException: DomainException the autoloader threw in eval.php(%d) : eval()'d code
NotAnEnum: RuntimeException: background worker exited without completing the task
  because UncaughtException: LogicException enum NotAnEnum::One is not known here in eval.php
Nowhere: RuntimeException: background worker exited without completing the task
  because UncaughtException: LogicException enum Nowhere::One is not known here in eval.php
constant that is no case: RuntimeException: background worker exited without completing the task
  because UncaughtException: LogicException enum case Plain::One is not known here in eval.php
read, without a class: LogicException: enum FromWorker::Unknown is not known here
array(1) {
  ["e"]=>
  enum(FromWorker::Known)
}
read on: {"n":3}
the end: null
read, without the case: LogicException: enum case FromWorker::Unknown is not known here
