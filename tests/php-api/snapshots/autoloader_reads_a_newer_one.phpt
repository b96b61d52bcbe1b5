--TEST--
An autoloader that runs while a snapshot is being read may read a newer one: the newer is what counts
--ENV--
IGOR_WORKERS=enum=../workers/publishes_an_enum.php,num=1
--FILE--
<?php
spl_autoload_register(function (string $class): void {
    Igor\Worker::send('enum', ['is' => 'the newer'])->await();
    echo "autoloader of $class finds ", frankenphp_worker_get_vars('enum')['is'], "\n";
    eval("enum $class { case Yes; }");
});
echo 'the script finds ' . frankenphp_worker_get_vars('enum')['is'], "\n";
echo 'and then ' . frankenphp_worker_get_vars('enum')['is'], "\n";
?>
--EXPECT--
autoloader of OnlyHere finds the newer
the script finds the newer
and then the newer
