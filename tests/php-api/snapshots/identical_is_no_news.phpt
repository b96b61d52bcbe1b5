--TEST--
Publishing what is identical (===) changes nothing, however the arrays came about: readers keep their very array
--ENV--
IGOR_WORKERS=p=../workers/publisher.php,num=1
--FILE--
<?php
// A snapshot that takes the script's memory, as one with an enum case does, shows by it whether there is a second array of
// it.
$big = range(1, 50_000);
function news(array $vars, array $then, string $how = 'publish'): string
{
    $vars['e'] = $then['e'] = Igor\Reason::Abandoned;
    Igor\Worker::send('p', ['do' => 'publish', 'vars' => $vars])->await();
    $first = frankenphp_worker_get_vars('p');
    Igor\Worker::send('p', ['do' => $how, 'vars' => $then])->await();
    $before = memory_get_usage();
    $second = frankenphp_worker_get_vars('p');
    $grown = memory_get_usage() - $before > 500_000;
    return ($first === $second ? 'the same' : 'others') . ($grown ? ', another array' : ', the very array') . "\n";
}

echo news(['b' => $big], ['b' => $big]);
// The same list, once as the engine keeps lists and once as it keeps maps.
echo news(['b' => $big], ['b' => $big], 'publish lists as maps');
$holes = $big;
$holes[] = 'one more';
array_pop($holes);
echo news(['b' => $big], ['b' => $holes]);
$one = $big;
$reference = &$one[7];
unset($reference);
echo news(['b' => $big], ['b' => $one]);
echo news(['b' => $big, 's' => Igor\Reason::Exited], ['b' => $big, 's' => Igor\Reason::from('exited')]);
// What differs in anything is news: order, type, key.
echo news(['b' => $big, 'c' => 1], ['c' => 1, 'b' => $big]);
echo news(['b' => $big, 'c' => 1], ['b' => $big, 'c' => '1']);
echo news(['b' => $big, 'c' => 1], ['b' => $big, 'c' => 1.0]);
echo news(['b' => $big, 'c' => null], ['b' => $big]);
echo news(['b' => $big, 's' => Igor\Reason::Exited], ['b' => $big, 's' => Igor\Reason::Shutdown]);
?>
--EXPECT--
the same, the very array
the same, the very array
the same, the very array
the same, the very array
the same, the very array
others, another array
others, another array
others, another array
others, another array
others, another array
