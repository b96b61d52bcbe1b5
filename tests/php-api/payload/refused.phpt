--TEST--
What can't cross is refused with the path of the offending value, and nothing is sent
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$closed = fopen('php://memory', 'r');
fclose($closed);
$referenced = 1;
$deep = [];
for ($i = 0; $i < 600; ++$i) {
    $deep = [$deep];
}
$recursive = [];
$recursive['self'] = &$recursive;
$cases = [
    'object' => ['do' => 'echo', 'value' => new stdClass()],
    'nested' => ['user' => ['photo' => fopen('php://memory', 'r')]],
    'closure' => ['list' => [1, 2, fn() => 1]],
    'closed resource' => [$closed],
    'reference' => ['a' => ['b' => &$referenced]],
    'too deep' => $deep,
    'recursive' => $recursive,
    'generator' => [(fn() => yield 1)()],
    'date' => ['when' => new DateTimeImmutable()],
    'odd key' => ["it's" => ["nul\0" => new ArrayObject()]],
];
foreach ($cases as $name => $payload) {
    echo "$name: ";
    show('tool', $payload);
}
show('tool', ['do' => 'echo', 'value' => 'alive']);
?>
--EXPECTF--
object: ValueError: $payload['value']: object of class stdClass cannot be sent%S
nested: ValueError: $payload['user']['photo']: resource cannot be sent%S
closure: ValueError: $payload['list'][2]: closure cannot be sent%S
closed resource: ValueError: $payload[0]: resource cannot be sent%S
reference: ValueError: $payload['a']['b']: reference cannot be sent%S
too deep: ValueError: $payload%s: array is nested deeper than 512 levels
recursive: ValueError: $payload['self']: reference cannot be sent%S
generator: ValueError: $payload[0]: object of class Generator cannot be sent%S
date: ValueError: $payload['when']: object of class DateTimeImmutable cannot be sent%S
odd key: ValueError: $payload[%s]['nul\x00']: object of class ArrayObject cannot be sent%S
update {"echo":"alive"}
completed
