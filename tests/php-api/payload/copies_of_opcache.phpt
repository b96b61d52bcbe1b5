--TEST--
Immutable arrays and interned strings of opcache cross as copies, to and fro
--EXTENSIONS--
opcache
--INI--
opcache.enable=1
opcache.enable_cli=1
opcache.file_update_protection=0
opcache.protect_memory=0
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
// run-tests.php asks for opcache.protect_memory, which write-protects opcache's memory for the whole process,
// under the feet of the other threads: it is not for a threaded host.
const TABLE = ['interned' => 'a constant string', 'list' => [1, 2, 3], 'deep' => ['a' => ['b' => ['c' => 'd']]]];
var_dump(opcache_get_status()['opcache_enabled'], opcache_is_script_cached(__FILE__));
for ($i = 0; $i < 100; ++$i) {
    $task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => TABLE]);
    $back = frankenphp_worker_task_read($task)['echo'];
    fclose($task);
    if ($back !== TABLE) {
        exit('came back as ' . var_export($back, true));
    }
    if ($i === 50) {
        // The memory of what was shared is used for other things from here on.
        opcache_reset();
    }
    $back['deep']['a']['b']['c'] .= $i;
    $back['list'][] = $back['interned'];
}
var_dump(TABLE['list'], count($back['list']), $back['deep']['a']['b']['c']);
?>
--EXPECT--
bool(true)
bool(true)
array(3) {
  [0]=>
  int(1)
  [1]=>
  int(2)
  [2]=>
  int(3)
}
int(4)
string(3) "d99"
