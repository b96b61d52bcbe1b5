--TEST--
An uncaught exception, a fatal error and the memory limit abort the task and are told apart
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('tool', ['do' => 'throw']);
show('tool', ['do' => 'fatal']);
show('tool', ['do' => 'memory']);
show('tool', ['do' => 'echo', 'value' => 'alive']);
?>
--EXPECTF--
RuntimeException: background worker exited without completing the task
  because UncaughtException: DomainException the worker threw in tool.php
RuntimeException: background worker exited without completing the task
  because FatalError: Class Broken contains 1 abstract method %s in tool.php%s
RuntimeException: background worker exited without completing the task
  because MemoryLimit: Allowed memory size of %d bytes exhausted%s in tool.php
update {"echo":"alive"}
completed
