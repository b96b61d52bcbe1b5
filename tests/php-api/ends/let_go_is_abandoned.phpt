--TEST--
A worker that lets go of a task's stream without fclose() abandons the task and lives on
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('tool', ['do' => 'let go']);
show('tool', ['do' => 'echo', 'value' => 'alive']);
?>
--EXPECT--
RuntimeException: background worker exited without completing the task
  because Abandoned
update {"echo":"alive"}
completed
