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
object: ValueError: %S$payload['value']: stdClass%S
nested: ValueError: %S$payload['user']['photo']: resource%S
closure: ValueError: %S$payload['list'][2]: %S
closed resource: ValueError: %S$payload[0]: resource%S
reference: ValueError: %S$payload['a']['b']: reference%S
too deep: ValueError: %s512%S
recursive: ValueError: %S$payload['self']: reference%S
generator: ValueError: %S$payload[0]: Generator%S
date: ValueError: %S$payload['when']: DateTimeImmutable%S
odd key: ValueError: %S$payload['it\'s']%s
update {"echo":"alive"}
completed
