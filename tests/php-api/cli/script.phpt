--TEST--
The command line of this SAPI: arguments, constants, exit status by way of a child
--ARGS--
one --two=2 "three four"
--FILE--
<?php
var_dump(array_slice($argv, 1), $argc);
var_dump(is_resource(STDIN), is_resource(STDOUT), is_resource(STDERR));
$php = getenv('TEST_PHP_EXECUTABLE_ESCAPED');
exec("$php -n -r 'exit(7);'", $output, $status);
var_dump($status);
exec("echo '<?php echo 6 * 7;' | $php -n", $output, $status);
var_dump($output, $status);
?>
--EXPECT--
array(3) {
  [0]=>
  string(3) "one"
  [1]=>
  string(7) "--two=2"
  [2]=>
  string(10) "three four"
}
int(4)
bool(true)
bool(true)
bool(true)
int(7)
array(1) {
  [0]=>
  string(2) "42"
}
int(0)
