--TEST--
Where no worker is configured at all, the error says so
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('tool', []);
?>
--EXPECT--
RuntimeException: no background worker configured in this php_server
