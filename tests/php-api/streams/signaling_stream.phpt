--TEST--
The signaling stream: one and the same, readable while a task waits, quiet otherwise
--ENV--
IGOR_WORKERS=signals=../workers/signals.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('signals', []);
?>
--EXPECT--
update {"line":"task\n","same":true,"twice":"task\n","quiet":0,"nonblocking":false,"feof":false}
completed
