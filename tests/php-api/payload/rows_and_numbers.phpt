--TEST--
Rows with the same keys, lists of numbers, and what only looks like them, come back as they were
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';

function there_and_back(mixed $value): mixed
{
    $task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => $value]);
    return frankenphp_worker_task_read($task)['echo'];
}

$rows = [['id' => 1, 'name' => 'one', 'tags' => []], ['id' => 2, 'name' => 'two', 'tags' => ['x', 'y']]];
$gone = [['a' => 1, 'b' => 2, 'c' => 3], ['a' => 4, 'b' => 5, 'c' => 6]];
unset($gone[0]['b'], $gone[1]['b']);
$holes = [10, 20, 30];
unset($holes[1]);
$by_reference = $rows;
foreach ($by_reference as &$row) {
    $row['id'] *= 100;
}
unset($row);
$numbers_by_reference = [1, 2, 3];
foreach ($numbers_by_reference as &$number) {
    $number *= 2;
}
unset($number);
$cases = [
    'rows' => $rows,
    'one row' => [$rows[0]],
    'many rows' => array_map(fn($i) => ['id' => $i, 'text' => "text $i", 'half' => $i / 2, 'none' => null], range(1, 3000)),
    'one array as every row' => array_fill(0, 5, ['k' => 'v', 'n' => [1, 2]]),
    'keys in another order' => [['a' => 1, 'b' => 2], ['b' => 1, 'a' => 2]],
    'a key more' => [['a' => 1], ['a' => 1, 'b' => 2]],
    'another key' => [['a' => 1], ['b' => 1]],
    'the last is no row' => [['a' => 1], ['a' => 2], 'a'],
    'keys that are numbers' => [[1 => 'x', 5 => 'y'], [1 => 'z', 5 => null]],
    'keys of both kinds' => [['7' => 1, 'seven' => 2, '07' => 3, '' => 4], ['7' => 5, 'seven' => 6, '07' => 7, '' => 8]],
    'keys that were taken away' => $gone,
    'rows with holes' => [$holes, $holes],
    'rows with holes, and others with the same keys' => [$holes, [0 => 1, 2 => 2]],
    'rows that are lists' => [[1, 2], [3, 4]],
    'rows without anything' => [[], []],
    'rows within rows' => [['r' => $rows], ['r' => $rows]],
    'rows changed by reference' => $by_reference,
    'ints' => [PHP_INT_MIN, -1, 0, 1, PHP_INT_MAX],
    'floats' => [0.5, INF, -INF, PHP_FLOAT_EPSILON],
    'both' => [1, 2.0, 3],
    'floats first' => [1.5, 2],
    'one of each' => [[1], [1.5]],
    'numbers with holes' => $holes,
    'numbers changed by reference' => $numbers_by_reference,
    'no list' => [1 => 1, 2 => 2],
];
foreach ($cases as $name => $value) {
    if (there_and_back($value) !== $value) {
        echo "$name: ", json_encode(there_and_back($value)), "\n";
    }
}
var_dump(there_and_back([-0.0, NAN]));

// Each row is an array of its own.
$back = there_and_back($rows);
$back[0]['name'] = 'changed';
$back[1]['more'] = true;
echo json_encode($back), ' ', json_encode(there_and_back($rows)), "\n";

attempt('a resource', fn() => there_and_back([['a' => 1, 'b' => 2], ['a' => 1, 'b' => STDIN]]));
attempt('a reference', function () {
    $list = [1, 2, 3];
    $held = &$list[1];
    there_and_back($list);
});
$nested = [['k' => 1], ['k' => 2]];
for ($i = 0; $i < 509; ++$i) {
    $nested = [$nested];
}
var_dump(there_and_back($nested) === $nested);
attempt('too deep', fn() => there_and_back([$nested]));
?>
--EXPECTF--
array(2) {
  [0]=>
  float(-0)
  [1]=>
  float(NAN)
}
[{"id":1,"name":"changed","tags":[]},{"id":2,"name":"two","tags":["x","y"],"more":true}] [{"id":1,"name":"one","tags":[]},{"id":2,"name":"two","tags":["x","y"]}]
a resource: ValueError: $payload['value'][1]['b']: resource cannot be sent; null, bool, int, float, string, array and enum cases can
a reference: ValueError: $payload['value'][1]: reference cannot be sent; null, bool, int, float, string, array and enum cases can
bool(true)
too deep: ValueError: $payload%s: array is nested deeper than 512 levels
