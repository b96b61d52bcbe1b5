--TEST--
exit() with a task in hand aborts it, wherever the stream is kept, and says with which status
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('tool', ['do' => 'exit', 'status' => 0]);
show('tool', ['do' => 'exit', 'status' => 1]);
show('tool', ['do' => 'exit', 'status' => 42]);
show('tool', ['do' => 'static']);
show('tool', ['do' => 'property']);
show('tool', ['do' => 'closure']);
show('tool', ['do' => 'echo', 'value' => 'alive']);
?>
--EXPECT--
RuntimeException: background worker exited without completing the task
  because Exited with status 0
RuntimeException: background worker exited without completing the task
  because Exited with status 1
RuntimeException: background worker exited without completing the task
  because Exited with status 42
RuntimeException: background worker exited without completing the task
  because Exited with status 0
RuntimeException: background worker exited without completing the task
  because Exited with status 0
RuntimeException: background worker exited without completing the task
  because Exited with status 0
update {"echo":"alive"}
completed
