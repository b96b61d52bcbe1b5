--TEST--
A task has no descriptor until it is first given to stream_select, and gives it back when it is closed
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
function descriptors(): int
{
    return count(scandir('/proc/self/fd'));
}
ask('reply($stream, 1);');
$before = descriptors();
const HOLDS = 'frankenphp_worker_task_update($stream, ["held" => true]); $GLOBALS["held"][] = $stream;';
$tasks = [];
for ($i = 0; $i < 300; ++$i) {
    $tasks[] = start(HOLDS);
    frankenphp_worker_task_read($tasks[$i]);
}
echo '300 tasks: ', descriptors() - $before, "\n";
$read = array_slice($tasks, 0, 7);
$none = null;
var_dump(stream_select($read, $none, $none, 0));
echo '7 selected: ', descriptors() - $before, "\n";
$read = array_slice($tasks, 0, 7);
stream_select($read, $none, $none, 0);
echo 'once more: ', descriptors() - $before, "\n";
array_splice($tasks, 0, 5);
ask('$GLOBALS["held"] = array_slice($GLOBALS["held"], 5); reply($stream, 1);');
echo '5 closed: ', descriptors() - $before, "\n";
$tasks = [];
ask('$GLOBALS["held"] = []; reply($stream, 1);');
echo 'all closed: ', descriptors() - $before, "\n";
?>
--EXPECT--
300 tasks: 0
int(0)
7 selected: 7
once more: 7
5 closed: 2
all closed: 0
