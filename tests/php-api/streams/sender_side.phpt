--TEST--
A sender's stream under PHP's own functions
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
$task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => 1]);
$read = [$task];
$none = null;
var_dump(stream_select($read, $none, $none, 5));
var_dump(feof($task));
var_dump(frankenphp_worker_task_read($task));
$read = [$task];
var_dump(stream_select($read, $none, $none, 5));
var_dump(frankenphp_worker_task_read($task));
var_dump(feof($task));
// After the end it stays readable: select must never hang on it.
$read = [$task];
var_dump(stream_select($read, $none, $none, 5));
var_dump(is_array(stream_get_meta_data($task)));
fclose($task);
var_dump(is_resource($task));
?>
--EXPECT--
int(1)
bool(false)
array(1) {
  ["echo"]=>
  int(1)
}
int(1)
NULL
bool(true)
int(1)
bool(true)
bool(false)
