--TEST--
Payloads of one byte to sixteen megabytes come back whole
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--INI--
memory_limit=512M
--FILE--
<?php
foreach ([1, 7, 8, 4095, 4096, 65536, 1 << 20, (8 << 20) - 25, 8 << 20, 10_000_000, 16 << 20] as $size) {
    $value = random_bytes(min($size, 4096));
    $value = substr(str_repeat($value, intdiv($size, strlen($value)) + 1), 0, $size);
    $task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => $value]);
    $back = frankenphp_worker_task_read($task)['echo'];
    if ($back !== $value) {
        echo "$size bytes came back as ", strlen($back), "\n";
    }
    fclose($task);
}
unset($value, $back);
// More memory than its bytes is taken for a large string only where memory_limit has it.
$size = (8 << 20) + 4096;
$task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => str_repeat('x', $size)]);
ini_set('memory_limit', memory_get_usage(true) + $size + (1 << 20));
var_dump(strlen(frankenphp_worker_task_read($task)['echo']) === $size);
fclose($task);
ini_set('memory_limit', '512M');
$many = range(1, 200_000);
$task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => $many]);
var_dump(frankenphp_worker_task_read($task)['echo'] === $many);
?>
--EXPECT--
bool(true)
bool(true)
