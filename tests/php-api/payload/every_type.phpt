--TEST--
Every type that can cross comes back the same, in order, binary safe
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
$values = [
    'null' => null,
    'booleans' => [true, false],
    'integers' => [0, -1, PHP_INT_MAX, PHP_INT_MIN],
    'floats' => [0.0, -0.0, 1.5, PHP_FLOAT_MAX, PHP_FLOAT_EPSILON, INF, -INF],
    'strings' => ['', 'a', "nul\0byte", "\xff\xfe", 'Grüße', str_repeat('ab', 5000)],
    'empty' => [],
    'list' => [1, 2, 3],
    'map' => ['b' => 1, 'a' => 2, 'c' => ['nested' => ['deep' => true]]],
    'mixed keys' => [10 => 'ten', 'x' => 'ex', -5 => 'minus', 11 => 'eleven', '' => 'empty', "nul\0" => 'nul'],
    'holes' => array_filter([1, 2, 3, 4], fn($n) => $n % 2 === 0),
];
foreach ($values as $name => $value) {
    $task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => $value]);
    $back = frankenphp_worker_task_read($task)['echo'];
    echo $name, ': ', serialize($back) === serialize($value) ? 'same' : 'DIFFERENT ' . var_export($back, true), "\n";
}
$task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => NAN]);
echo 'NaN: ', is_nan(frankenphp_worker_task_read($task)['echo']) ? 'same' : 'DIFFERENT', "\n";
?>
--EXPECT--
null: same
booleans: same
integers: same
floats: same
strings: same
empty: same
list: same
map: same
mixed keys: same
holes: same
NaN: same
