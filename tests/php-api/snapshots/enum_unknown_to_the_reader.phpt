--TEST--
A snapshot with an enum that the reader does not know: LogicException each time, until it knows it
--ENV--
IGOR_WORKERS=enum=../workers/publishes_an_enum.php,num=1
--FILE--
<?php
function read(): void
{
    try {
        $vars = frankenphp_worker_get_vars('enum');
        echo $vars['is'], ', ', count($vars['rest']), ', ', var_export($vars['enum'] ?? null, true), "\n";
    } catch (LogicException $e) {
        echo get_class($e), ': ', $e->getMessage(), "\n";
    }
}
read();
read();
try {
    frankenphp_worker_get_vars(['enum', 'nobody']);
} catch (Exception $e) {
    echo get_class($e), "\n";
}
eval('enum OnlyHere { case No; }');
read();
Igor\Worker::send('enum', ['is' => 'without one', 'rest' => []])->await();
read();
$first = frankenphp_worker_get_vars('enum');
Igor\Worker::send('enum', ['is' => 'with one of ours', 'rest' => [], 'enum' => Igor\TaskState::Running])->await();
read();
echo $first['is'], "\n";
?>
--EXPECT--
LogicException: enum OnlyHere::Yes is not known here
LogicException: enum OnlyHere::Yes is not known here
LogicException
LogicException: enum case OnlyHere::Yes is not known here
without one, 0, NULL
with one of ours, 0, \Igor\TaskState::Running
without one
