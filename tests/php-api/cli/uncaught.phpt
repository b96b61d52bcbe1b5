--TEST--
An uncaught exception of a script is shown and makes the exit status 255
--FILE--
<?php
$php = getenv('TEST_PHP_EXECUTABLE_ESCAPED');
exec("$php -n -d display_errors=1 -r 'throw new LogicException(\"gone\");' 2>/dev/null", $output, $status);
echo implode("\n", $output), "\n", $status;
?>
--EXPECT--

Fatal error: Uncaught LogicException: gone in Command line code:1
Stack trace:
#0 {main}
  thrown in Command line code on line 1
255
