--TEST--
An enum that the receiver does not know is a LogicException that names it
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
enum OnlyHere { case One; }
enum Direction { case Up; case Sideways; }
show('tool', ['do' => 'echo', 'value' => OnlyHere::One]);
show('tool', ['do' => 'echo', 'value' => ['x' => Direction::Sideways]]);
show('tool', ['do' => 'echo', 'value' => 'alive']);
?>
--EXPECTF--
RuntimeException: background worker exited without completing the task
  because UncaughtException: LogicException %sOnlyHere%s in tool.php
RuntimeException: background worker exited without completing the task
  because UncaughtException: LogicException %sDirection%sSideways%s in tool.php
update {"echo":"alive"}
completed
