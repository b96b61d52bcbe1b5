--TEST--
What a worker prints, warns of, logs and dies of reaches the log, with worker, thread, task, file and line
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,backoff_min_ms=1
IGOR_WORKER_LOG={PWD}/what_workers_say.txt
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
ask(<<<'PHP'
    echo "printed\nin two lines, the second without an end";
    error_log('said with error_log()');
    trigger_error('a warning', E_USER_WARNING);
    frankenphp_log('structured', 4, ['answer' => 42, 'nested' => ['a' => 1], 'formless' => fopen('php://memory', 'r'), 'infinite' => INF]);
    reply($stream, 1);
    PHP);
outcome(start('throw new DomainException("what it died of");'));
$lines = [];
// The log is written by a thread of its own.
for ($i = 0; $i < 500 && !str_contains(implode($lines), 'background worker failed'); ++$i) {
    usleep(10_000);
    $lines = file(__DIR__ . '/what_workers_say.txt');
}
foreach ($lines as $line) {
    echo preg_replace('~task=\d+~', 'task=N', str_replace(dirname(__DIR__), '', $line));
}
?>
--CLEAN--
<?php @unlink(__DIR__ . '/what_workers_say.txt'); ?>
--EXPECTF--
[php] printed worker=eval thread=eval #0 task=N stream=output
[php] said with error_log() worker=eval thread=eval #0 task=N
[php] Warning: a warning worker=eval thread=eval #0 task=N file=/workers/eval.php(%d) : eval()'d code line=3
[php] structured worker=eval task=N thread=eval #0 {"answer":42,"nested":{"a":1},"formless":null,"infinite":0}
[php] in two lines, the second without an end worker=eval thread=eval #0 task=N stream=output
[php] Fatal error: Uncaught DomainException: what it died of in /workers/eval.php(%d) : eval()'d code:1
Stack trace:
#0 /workers/eval.php(%d): eval()
#1 /workers/eval.php(%d): run(Resource id #%d, Array)
#2 {main}
  thrown worker=eval thread=eval #0 task=N file=/workers/eval.php(%d) : eval()'d code line=1
[worker] background worker failed worker=eval thread=eval #0 script=/log/../workers/eval.php reason=UncaughtException exit_status=255 restart_in_ms=%d error=what it died of file=/workers/eval.php(%d) : eval()'d code line=1
