--TEST--
The process ends with tasks running, waiting for acceptance, queued and half read: each sender gets its answer
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$file = __DIR__ . '/shutdown_answers_everybody.txt';
$tests = __DIR__ . '/../workers';
// `sender` holds one task of each kind, and then reads them all. What it learns goes into a file: its own
// sender is the script that has ended.
$code = <<<'PHP'
    $busy = frankenphp_worker_task_send('polite', ['run' => 'frankenphp_worker_task_update($stream, ["at" => "work"]);
        $read = [frankenphp_worker_get_signaling_stream()]; $none = null;
        stream_select($read, $none, $none, 20);
        // Told to stop; what is at work may be brought to its end.
        frankenphp_worker_task_update($stream, ["signal" => fgets(frankenphp_worker_get_signaling_stream())]);
        fclose($stream);']);
    frankenphp_worker_task_read($busy);
    $stubborn = frankenphp_worker_task_send('stubborn', ['run' => 'frankenphp_worker_task_update($stream, ["at" => "work"]); while (true);']);
    frankenphp_worker_task_read($stubborn);
    $asleep = frankenphp_worker_task_send('asleep', ['run' => 'frankenphp_worker_task_update($stream, ["at" => "work"]); sleep(1000);']);
    frankenphp_worker_task_read($asleep);
    $half = frankenphp_worker_task_send('half', ['run' => 'for ($i = 0; ; ++$i) { frankenphp_worker_task_update($stream, ["i" => $i]); }']);
    for ($i = 0; $i < 20; ++$i) {
        frankenphp_worker_task_read($half);
    }
    $queued = frankenphp_worker_task_send('stubborn', ['run' => 'echo "never";']);
    frankenphp_worker_task_update($stream, ['ready' => true]);
    $said = [];
    $note = function (string $what, string $said) use ($payload) {
        file_put_contents($payload['file'], "$what: $said\n", FILE_APPEND);
    };
    $end = function (string $what, $task) use ($note) {
        $updates = 0;
        try {
            while (($update = frankenphp_worker_task_read($task)) !== null) {
                ++$updates;
            }
            $note($what, "$updates updates, completed");
        } catch (RuntimeException $e) {
            // Sixteen wait to be read; there may be more, if the worker runs before it is told.
            $updates = $updates >= 16 ? '16 or more' : $updates;
            $note($what, "$updates updates, {$e->getMessage()}, " . $e->getPrevious()?->getReason()->name);
        }
    };
    try {
        frankenphp_worker_task_send('stubborn', ['run' => 'echo "never";'], 30);
    } catch (RuntimeException $e) {
        $note('waiting', $e->getMessage());
    }
    $end('queued', $queued);
    $end('polite', $busy);
    // Its task ended because it was told to stop: from here on it takes no other.
    try {
        frankenphp_worker_task_send('polite', [], 30);
    } catch (RuntimeException $e) {
        $note('late', $e->getMessage());
    }
    $end('half read', $half);
    $end('stubborn', $stubborn);
    $end('asleep', $asleep);
    $note('feof of my own task', var_export(feof($stream), true));
    PHP;
$workers = ['sender' => ',stop_grace_ms=3000', 'polite' => '', 'stubborn' => ',queue=1,stop_grace_ms=300', 'asleep' => ',stop_grace_ms=300', 'half' => ''];
$list = implode(';', array_map(fn($name, $more) => "$name=$tests/eval.php,num=1$more", array_keys($workers), $workers));
$took = run_process("$tests/shutdown/main.php", ['IGOR_WORKERS' => $list, 'IGOR_WORKER_LOG' => 'none'], [$code, $file]);
echo $took < 10 ? "in time\n" : "after $took s\n";
echo file_get_contents($file);
?>
--CLEAN--
<?php @unlink(__DIR__ . '/shutdown_answers_everybody.txt'); ?>
--EXPECT--
{"ready":true}
exit status 0
in time
waiting: background worker "stubborn" is shutting down
queued: 0 updates, background worker exited without completing the task, Shutdown
polite: 1 updates, completed
late: background worker "polite" is shutting down
half read: 16 or more updates, background worker exited without completing the task, UncaughtException
stubborn: 0 updates, background worker exited without completing the task, Shutdown
asleep: 0 updates, background worker exited without completing the task, Shutdown
feof of my own task: true
