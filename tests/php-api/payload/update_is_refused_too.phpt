--TEST--
A worker's update that can't cross is refused in the worker, with its path
--ENV--
IGOR_WORKERS=odd=../workers/odd_updates.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('odd', []);
?>
--EXPECTF--
update {"refused":"ValueError: $data['answer']: object of class stdClass cannot be sent%S"}
completed
