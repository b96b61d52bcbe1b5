--TEST--
Fake workers for unit tests (php-api/composer), on a PHP without Igor
--FILE--
<?php
$package = getenv('IGOR_COMPOSER') ?: __DIR__ . '/../../../php-api/composer';
foreach (['', '-d zend.assertions=1 -d error_reporting=-1 -d opcache.enable_cli=1'] as $options) {
    $command = [PHP_BINDIR . '/php', '-n', ...array_filter(explode(' ', $options)), __DIR__ . '/scenario.inc.php', $package];
    $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
    echo stream_get_contents($pipes[1]);
    echo 'status ', proc_close($process), "\n";
}
?>
--EXPECT--
over
status 0
over
status 0
