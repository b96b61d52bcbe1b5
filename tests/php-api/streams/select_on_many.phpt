--TEST--
stream_select on 1, 2 and 200 tasks wakes for the right ones, and every task ends once
--ENV--
IGOR_WORKERS=many=../workers/many.php,num=1
--FILE--
<?php
foreach ([1, 2, 200] as $count) {
    $tasks = [];
    for ($i = 0; $i < $count; ++$i) {
        $tasks[$i] = frankenphp_worker_task_send('many', ['id' => $i]);
    }
    $got = [];
    while ($tasks) {
        $read = $tasks;
        $none = null;
        if (stream_select($read, $none, $none, 10) === 0) {
            exit("nothing within 10 seconds, " . count($tasks) . " tasks open\n");
        }
        foreach ($read as $i => $stream) {
            // One that select names does not block: it has an update or its end.
            $update = frankenphp_worker_task_read($stream);
            if ($update === null) {
                fclose($stream);
                unset($tasks[$i]);
            } elseif ($update['id'] !== $i) {
                exit("task $i was answered with {$update['id']}\n");
            } else {
                $got[$i] = ($got[$i] ?? 0) + 1;
            }
        }
    }
    echo count($got), ' of ', $count, ': ', 'with ', implode(' and ', array_unique($got)), ' updates', "\n";
}
?>
--EXPECT--
1 of 1: with 2 updates
2 of 2: with 2 updates
200 of 200: with 2 updates
