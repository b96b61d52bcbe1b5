--TEST--
A worker's stream_select on its signals, the tasks that it holds, tasks that it has sent, and a socket, all at once
--ENV--
IGOR_WORKERS=loop=../workers/loop.php,num=1;eval=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$log = [];
$held = frankenphp_worker_task_send('loop', ['name' => 'held']);
echo json_encode(frankenphp_worker_task_read($held)), "\n";
$relayed = frankenphp_worker_task_send('loop', ['name' => 'relayed', 'relay' => 'reply($stream, "from eval");']);
echo json_encode(frankenphp_worker_task_read($relayed)), json_encode(frankenphp_worker_task_read($relayed)), json_encode(frankenphp_worker_task_read($relayed)), "\n";
$echoed = frankenphp_worker_task_send('loop', ['name' => 'echoed', 'socket' => 'through a socket']);
echo json_encode(frankenphp_worker_task_read($echoed)), json_encode(frankenphp_worker_task_read($echoed)), json_encode(frankenphp_worker_task_read($echoed)), "\n";
fclose($held);
$seen = frankenphp_worker_task_send('loop', ['name' => 'seen', 'seen' => true]);
frankenphp_worker_task_read($seen);
echo json_encode(frankenphp_worker_task_read($seen)), "\n";
?>
--EXPECT--
{"got":"held"}
{"got":"relayed"}{"reply":"from eval"}null
{"got":"echoed"}{"reply":"through a socket"}null
{"seen":["cancelled held"]}
