--TEST--
Values at the edges come back exactly: integers around the short form, zeros of both signs, keys of every kind, 512 levels
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
function there_and_back(mixed $value): mixed
{
    $task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => $value]);
    return frankenphp_worker_task_read($task)['echo'];
}
$edges = [];
foreach ([31, 32, 54, 55, 56, 62] as $bits) {
    foreach ([-1, 0, 1] as $more) {
        $edges[] = (1 << $bits) + $more;
        $edges[] = -(1 << $bits) + $more;
    }
}
$edges[] = PHP_INT_MAX;
$edges[] = PHP_INT_MIN;
var_dump(there_and_back($edges) === $edges);
var_dump(there_and_back(array_combine($edges, $edges)) === array_combine($edges, $edges));

$floats = [-0.0, 0.0, PHP_FLOAT_MIN, 4.9E-324, -PHP_FLOAT_MAX, 0.1 + 0.2, INF, -INF, NAN, -NAN];
echo bin2hex(pack('E*', ...there_and_back($floats))) === bin2hex(pack('E*', ...$floats)) ? "same bits\n" : "other bits\n";

$keys = ['0' => 'a', '-0' => 'b', '007' => 'c', '9223372036854775807' => 'd', '9223372036854775808' => 'e', '-5' => 'f',
    '' => 'g', "\0" => 'h', ' 1' => 'i', '1.5' => 'j', PHP_INT_MIN => 'k', "\xff" => 'l', str_repeat('k', 65) => 'm', str_repeat('k', 64) => 'n'];
$back = there_and_back($keys);
var_dump($back === $keys, array_map(gettype(...), array_keys($back)) === array_map(gettype(...), array_keys($keys)));

// Rows that repeat their keys, keys that nearly collide, and the same string many times.
$rows = [];
for ($i = 0; $i < 500; ++$i) {
    $rows[] = ['id' => $i, 'name' => "n$i", 'na' . $i % 7 . 'me' => null, str_repeat('x', $i % 70) => true];
}
var_dump(there_and_back($rows) === $rows);

$packed = [1, 2, 3, 4, 5];
unset($packed[0], $packed[3], $packed[4]);
$back = there_and_back($packed);
$back[] = 'next';
echo json_encode($packed), ' ', json_encode($back), "\n";
$reversed = array_reverse([1, 2, 3], true);
var_dump(there_and_back($reversed) === $reversed);
$hash = ['a' => 1];
unset($hash['a']);
var_dump(there_and_back($hash));

// The payload itself is one level, 'value' is the next.
foreach ([511, 512] as $levels) {
    $deep = 'bottom';
    for ($i = 0; $i < $levels; ++$i) {
        $deep = [$deep];
    }
    try {
        var_dump(there_and_back($deep) === $deep);
    } catch (ValueError $e) {
        echo $levels + 1, ' levels: ', substr($e->getMessage(), -40), "\n";
    }
}

// What foreach by reference leaves behind is a value, as long as nobody else refers to it.
$list = [1, 2, 3];
foreach ($list as &$item) {
    ++$item;
}
unset($item);
echo json_encode(there_and_back($list)), "\n";
$nested = ['a' => ['b' => 1]];
$reference = &$nested['a']['b'];
unset($reference);
echo json_encode(there_and_back($nested)), "\n";
$item = &$list[1];
try {
    there_and_back($list);
} catch (ValueError $e) {
    echo strtok($e->getMessage(), ';'), "\n";
}
?>
--EXPECT--
bool(true)
bool(true)
same bits
bool(true)
bool(true)
bool(true)
{"1":2,"2":3} {"1":2,"2":3,"3":"next"}
bool(true)
array(0) {
}
bool(true)
513 levels: : array is nested deeper than 512 levels
[2,3,4]
{"a":{"b":1}}
$payload['value'][1]: reference cannot be sent
