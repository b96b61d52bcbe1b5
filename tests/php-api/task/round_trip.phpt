--TEST--
A task goes to a worker, its updates come back in order, and null follows again and again
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('tool', ['do' => 'echo', 'value' => 'hello']);
show('tool', ['do' => 'nothing']);
show('tool', ['do' => 'count', 'to' => 3]);

$task = frankenphp_worker_task_send('tool', ['do' => 'nothing']);
var_dump(is_resource($task), get_resource_type($task));
var_dump(frankenphp_worker_task_read($task), frankenphp_worker_task_read($task), frankenphp_worker_task_read($task));
var_dump(fclose($task));
?>
--EXPECT--
update {"echo":"hello"}
completed
completed
update {"n":1}
update {"n":2}
update {"n":3}
completed
bool(true)
string(6) "stream"
NULL
NULL
NULL
bool(true)
