--TEST--
max_payload: what is larger is refused on either side, at once even if writing it out would take for ever
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1,max_payload=65536;eval=../workers/eval.php,num=1,max_payload=65536
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
// The largest that fits, found by halving.
$fits = 0;
for ($step = 65536; $step >= 1; $step >>= 1) {
    try {
        $task = frankenphp_worker_task_send('tool', ['do' => 'nothing', 'value' => str_repeat('x', $fits + $step)]);
        $fits += $step;
        fclose($task);
    } catch (ValueError $e) {
        $refusal = $e->getMessage();
    }
}
echo $fits > 65536 - 200 && $fits < 65536 ? "close to the limit\n" : "$fits bytes\n", $refusal, "\n";

// Doubling twice per level: 2^60 values in a few hundred bytes of memory.
$bomb = [1];
for ($i = 0; $i < 60; ++$i) {
    $bomb = [$bomb, $bomb];
}
attempt('a bomb', fn() => frankenphp_worker_task_send('tool', $bomb));
echo json_encode(ask(<<<'PHP'
    try {
        frankenphp_worker_task_update($stream, ['text' => str_repeat('x', 70000)]);
    } catch (ValueError $e) {
        reply($stream, $e->getMessage());
    }
    PHP)), "\n";
show('tool', ['do' => 'echo', 'value' => 'alive']);
?>
--EXPECT--
close to the limit
$payload: 65544 bytes when encoded, more than the 65536 that the pool allows (max_payload)
a bomb: ValueError: $payload: at least 65552 bytes when encoded, more than the 65536 that the pool allows (max_payload)
"$data: 70040 bytes when encoded, more than the 65536 that the pool allows (max_payload)"
update {"echo":"alive"}
completed
