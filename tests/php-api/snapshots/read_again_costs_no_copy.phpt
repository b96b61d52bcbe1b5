--TEST--
Reading a snapshot again makes no new array
--ENV--
IGOR_WORKERS=p=../workers/publisher.php,num=1
--FILE--
<?php
Igor\Worker::send('p', ['do' => 'publish', 'vars' => ['big' => range(1, 50000), 'e' => Igor\Reason::Exited]])->await();
$first = frankenphp_worker_get_vars('p');
$before = memory_get_usage();
$copies = [];
for ($i = 0; $i < 100; $i++) {
    $copies[] = frankenphp_worker_get_vars('p');
}
var_dump(memory_get_usage() - $before < 100_000);
var_dump($copies[99] === $first);
?>
--EXPECT--
bool(true)
bool(true)
