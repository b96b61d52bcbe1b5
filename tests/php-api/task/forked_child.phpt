--TEST--
A forked child has no workers: it is told so, it can't disturb its parent's tasks, and it does not live on
--EXTENSIONS--
pcntl
--SKIPIF--
<?php if (!function_exists('pcntl_fork')) die('skip no pcntl'); ?>
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$task = start('frankenphp_worker_task_update($stream, ["started" => true]); $GLOBALS["held"] = $stream;');
frankenphp_worker_task_read($task);
$read = [$task];
$none = null;
stream_select($read, $none, $none, 0);
if (($child = pcntl_fork()) === 0) {
    attempt('send', fn() => start(''));
    attempt('read', fn() => frankenphp_worker_task_read($task));
    attempt('close', fn() => fclose($task));
    exit(9);
}
pcntl_waitpid($child, $status);
echo 'the child exited with ', pcntl_wexitstatus($status), "\n";
$read = [$task];
echo stream_select($read, $none, $none, 0), " readable\n";
ask('frankenphp_worker_task_update($GLOBALS["held"], ["still" => "there"]); fclose($GLOBALS["held"]); reply($stream, 1);');
echo json_encode(frankenphp_worker_task_read($task)), "\n";
echo outcome($task), "\n";

// A worker that forks: its child ends with its script instead of serving as a second one.
echo ask(<<<'PHP'
    [$mine, $other] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    $child = pcntl_fork();
    if ($child === 0) {
        try {
            frankenphp_worker_task_update($stream, ['reply' => 'from the child']);
        } catch (RuntimeException $e) {
            fwrite($other, $e->getMessage());
        }
        unset($stream, $other);
        return; // to the loop, whose next question is refused too
    }
    unset($other);
    pcntl_waitpid($child, $status);
    reply($stream, stream_get_contents($mine) . ', ' . pcntl_wexitstatus($status));
    PHP), "\n";
echo ask('reply($stream, "alive");'), "\n";
?>
--EXPECT--
send: RuntimeException: background workers cannot be used in a forked child process
read: RuntimeException: background workers cannot be used in a forked child process
close: true
the child exited with 9
0 readable
{"still":"there"}
completed
background workers cannot be used in a forked child process, 255
alive
