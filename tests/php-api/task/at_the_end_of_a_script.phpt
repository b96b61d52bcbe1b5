--TEST--
Tasks in a sender's shutdown functions and destructors still work; those that it leaves open are cancelled
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$file = __DIR__ . '/at_the_end.txt';
file_put_contents(__DIR__ . '/at_the_end.inc', <<<'PHP'
    <?php
    require getenv('TESTS') . '/workers/client.inc.php';
    $left_open = start('frankenphp_worker_task_update($stream, []); wait_for_cancel($stream); file_put_contents($payload["file"], "cancelled");', ['file' => $argv[1]]);
    frankenphp_worker_task_read($left_open);
    register_shutdown_function(function () {
        echo ask('reply($stream, "in a shutdown function");'), "\n";
    });
    final class Last
    {
        public function __destruct()
        {
            echo ask('reply($stream, "in a destructor");'), "\n";
        }
    }
    $last = new Last();
    echo "end of the script\n";
    PHP);
$workers = 'eval=' . dirname(__DIR__) . '/workers/eval.php,num=2';
run_process(__DIR__ . '/at_the_end.inc', ['TESTS' => dirname(__DIR__), 'IGOR_WORKERS' => $workers, 'IGOR_WORKER_LOG' => 'none'], [$file]);
echo 'left open: ', file_get_contents($file), "\n";
?>
--CLEAN--
<?php array_map(unlink(...), glob(__DIR__ . '/at_the_end.{txt,inc}', GLOB_BRACE)); ?>
--EXPECT--
end of the script
in a shutdown function
in a destructor
exit status 0
left open: cancelled
