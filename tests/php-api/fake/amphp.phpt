--TEST--
A worker on an event loop (amphp 2) runs on fake workers as it does on the server
--SKIPIF--
<?php
if (!is_file('/usr/share/php/Amp/autoload.php')) die('skip needs the Debian package php-amphp-amp');
if (!getenv('IGOR_COMPOSER')) die('skip needs the whole checkout ($IGOR_COMPOSER)');
?>
--FILE--
<?php
$package = getenv('IGOR_COMPOSER');
$command = [PHP_BINDIR . '/php', '-n', __DIR__ . '/amphp.inc.php', $package, "$package/../../tests/e2e/testdata/frameworks/amp/worker.php"];
$process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
echo stream_get_contents($pipes[1]);
echo 'status ', proc_close($process), "\n";
?>
--EXPECT--
task 1: 3 steps, with 4 at once, and the timer ran
task 2: 3 steps, with 4 at once, and the timer ran
task 3: 3 steps, with 4 at once, and the timer ran
task 4: 3 steps, with 4 at once, and the timer ran
1
it saw that its sender left
over
status 0
