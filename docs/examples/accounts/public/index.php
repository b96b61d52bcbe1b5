<?php

header('Content-Type: text/event-stream');
$task = Igor\Worker::send('accounts', ['ada' => 'analytical', 'grace' => 'nanosecond', 'alan' => 'bombe']);
foreach ($task as $update) {
    echo 'data: ', json_encode($update), "\n\n";
    flush();
}
$hashes = $task->await();
echo "event: done\ndata: ", count($hashes), " accounts, the first is {$hashes['ada']}\n\n";
