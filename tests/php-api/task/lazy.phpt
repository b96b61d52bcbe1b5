--TEST--
A worker without num is started by the first task that names it
--ENV--
IGOR_WORKERS=tool=../workers/tool.php
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('tool', ['do' => 'echo', 'value' => 1]);
show('tool', ['do' => 'echo', 'value' => 2]);
?>
--EXPECT--
update {"echo":1}
completed
update {"echo":2}
completed
