--TEST--
A process whose worker with num never gets ready does not begin, and says why; bad settings of a worker are named
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$workers = __DIR__ . '/../workers';
file_put_contents(__DIR__ . '/boot.inc', '<?php echo "the script runs\n";');
foreach ([
    "good=$workers/tool.php,num=1",
    "bad=$workers/ends_at_once.php,num=1,env.END=throw,max_consecutive_failures=2,backoff_min_ms=1,backoff_max_ms=10",
    "bad=$workers/syntax_error.php,num=2,max_consecutive_failures=1",
    "bad=$workers/absent.php,num=1,max_consecutive_failures=1",
    "bad=$workers/ends_at_once.php,num=1,env.END=return,max_consecutive_failures=1",
    "lazy=$workers/absent.php",
    "twice=$workers/tool.php;twice=$workers/tool.php",
    "bad=$workers/tool.php,num=many",
    "bad=$workers/tool.php,num=-1",
    "bad=$workers/tool.php,colour=red",
    "bad=$workers/tool.php,overflow=drop",
    "bad=$workers/tool.php,num",
    'bad',
    'bad=',
] as $list) {
    echo str_replace($workers, '...', $list), "\n";
    run_process(__DIR__ . '/boot.inc', ['IGOR_WORKERS' => $list, 'IGOR_WORKER_LOG' => 'none']);
}
?>
--CLEAN--
<?php @unlink(__DIR__ . '/boot.inc'); ?>
--EXPECTF--
good=.../tool.php,num=1
the script runs
exit status 0
bad=.../ends_at_once.php,num=1,env.END=throw,max_consecutive_failures=2,backoff_min_ms=1,backoff_max_ms=10
stderr: background worker "bad" (%sends_at_once.php) failed %s before it was ready: at once in %sends_at_once.php on line 9
exit status 1
bad=.../syntax_error.php,num=2,max_consecutive_failures=1
stderr: background worker "bad" (%ssyntax_error.php) failed %s before it was ready: syntax error, unexpected identifier "is" in %ssyntax_error.php on line 3
exit status 1
bad=.../absent.php,num=1,max_consecutive_failures=1
stderr: background worker "bad" (%sabsent.php) failed %s before it was ready: cannot open the worker's script %sabsent.php: No such file or directory
exit status 1
bad=.../ends_at_once.php,num=1,env.END=return,max_consecutive_failures=1
stderr: background worker "bad" (%sends_at_once.php) failed %s before it was ready: the script ended before it asked for its first task
exit status 1
lazy=.../absent.php
the script runs
exit status 0
twice=.../tool.php;twice=.../tool.php
stderr: two background workers named "twice" in one scope: names must differ
exit status 1
bad=.../tool.php,num=many
stderr: worker "bad": num is "many"; it must be a whole number, 0 or more
exit status 1
bad=.../tool.php,num=-1
stderr: worker "bad": num is "-1"; it must be a whole number, 0 or more
exit status 1
bad=.../tool.php,colour=red
stderr: worker "bad": unknown option "colour"; known are num, max_threads, queue, overflow, updates, max_payload, task_timeout_ms, stop_grace_ms, max_consecutive_failures, backoff_min_ms, backoff_max_ms, max_tasks, max_memory and env.NAME
exit status 1
bad=.../tool.php,overflow=drop
stderr: worker "bad": overflow is "drop"; it must be block or reject
exit status 1
bad=.../tool.php,num
stderr: worker "bad=%stool.php,num": "num" is not an option=value; write name=file[,option=value...]
exit status 1
bad
stderr: worker "bad": there is no '=' between name and file; write name=file[,option=value...]
exit status 1
bad=
stderr: worker "bad=": the file is missing; write name=file[,option=value...]
exit status 1
