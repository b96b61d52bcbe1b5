--TEST--
A snapshot outlives the run of the script that published it
--ENV--
IGOR_WORKERS=p=../workers/publisher.php,num=1
--FILE--
<?php
Igor\Worker::send('p', ['do' => 'publish', 'vars' => ['kept' => 1]])->await();
try {
    Igor\Worker::send('p', ['do' => 'die'])->await();
} catch (Igor\TaskFailed $e) {
    echo $e->getReason()->name, "\n";
}
// At once: the worker is not back yet. Later it publishes its first snapshot again.
$vars = frankenphp_worker_get_vars('p', 0);
var_dump($vars === ['kept' => 1] || $vars === ['n' => 0]);
?>
--EXPECT--
Exited
bool(true)
