--TEST--
A name that no worker has is an error that names it
--ENV--
IGOR_WORKERS=tool=../workers/tool.php
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
show('tol', []);
show('', []);
?>
--EXPECTF--
RuntimeException: %s"tol"%s
%AError: %s
