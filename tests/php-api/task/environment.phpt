--TEST--
What a background worker finds in $_SERVER and $argv, and no execution time limit
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('tool', ['do' => 'about']);
?>
--EXPECT--
update {"name":"tool","background":true,"argv":["tool.php","tool"],"max_execution_time":"0"}
completed
