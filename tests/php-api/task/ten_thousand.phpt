--TEST--
Ten thousand tasks leave no descriptor, no thread and no memory behind, on either side
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1
--INI--
memory_limit=64M
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') echo 'skip the address sanitizer keeps freed memory, so the process grows by design'; ?>
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
function process_status(): array
{
    preg_match_all('/^(Threads|VmRSS):\s+(\d+)/m', file_get_contents('/proc/self/status'), $found);
    return array_combine($found[1], array_map(intval(...), $found[2])) + ['descriptors' => count(scandir('/proc/self/fd')) - 2];
}
function some(int $count): void
{
    for ($i = 0; $i < $count; ++$i) {
        $task = frankenphp_worker_task_send('eval', ['run' => 'frankenphp_worker_task_update($stream, ["got" => $payload["i"]]); fclose($stream);', 'i' => $i, 'text' => str_repeat('x', $i % 5000)]);
        if ($i % 4 === 1) {
            $read = [$task];
            $none = null;
            stream_select($read, $none, $none, 10) === 1 || exit("task $i is not readable\n");
        }
        if ($i % 16 === 3) {
            continue; // let go of, half of them before they are begun
        }
        $update = frankenphp_worker_task_read($task);
        $update['got'] === $i || exit("task $i was answered with {$update['got']}\n");
        $i % 8 === 5 || frankenphp_worker_task_read($task) === null || exit("task $i has another update\n");
        $i % 8 === 7 || fclose($task);
    }
}
const USAGE = 'gc_collect_cycles(); reply($stream, memory_get_usage());';
some(1500);
gc_collect_cycles();
// The only worker answers when it has let go of all tasks before, and only then is counted.
[$theirs, $before, $memory] = [ask(USAGE), process_status(), memory_get_usage()];
some(10_000);
gc_collect_cycles();
[$theirs_after, $after, $memory_after] = [ask(USAGE), process_status(), memory_get_usage()];
echo $after['Threads'] === $before['Threads'] ? "as many threads\n" : "threads: {$before['Threads']} -> {$after['Threads']}\n";
echo $after['descriptors'] === $before['descriptors'] ? "as many descriptors\n" : "descriptors: {$before['descriptors']} -> {$after['descriptors']}\n";
echo abs($memory_after - $memory) < 20_000 ? "as much memory here\n" : "memory here: $memory -> $memory_after\n";
echo abs($theirs_after - $theirs) < 200_000 ? "as much memory there\n" : "memory there: $theirs -> $theirs_after\n";
$grown = $after['VmRSS'] - $before['VmRSS'];
echo $grown < 8 * 1024 ? "as much memory in all\n" : "the process grew by $grown kB\n";
?>
--EXPECT--
as many threads
as many descriptors
as much memory here
as much memory there
as much memory in all
