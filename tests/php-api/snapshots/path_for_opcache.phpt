--TEST--
A path from a request's snapshot, which opcache takes for a key of its own
--EXTENSIONS--
opcache
--INI--
opcache.enable=1
opcache.enable_cli=1
opcache.file_update_protection=0
--ENV--
IGOR_WORKERS=p=../workers/publisher.php,num=1
--FILE--
<?php
$folder = sys_get_temp_dir() . '/igor-path-' . getmypid();
mkdir("$folder/real", recursive: true);
symlink("$folder/real", "$folder/link");
file_put_contents("$folder/real/x.php", '<?php return "x";');
Igor\Worker::send('p', ['do' => 'publish', 'vars' => ['real' => "$folder/real/x.php", 'link' => "$folder/link/x.php"]])->await();
$vars = frankenphp_worker_get_vars('p');
var_dump(opcache_get_status(false)['opcache_enabled'], include $vars['real'], include_once $vars['link'], include $vars['link']);
var_dump($vars === ['real' => "$folder/real/x.php", 'link' => "$folder/link/x.php"]);
unlink("$folder/real/x.php");
unlink("$folder/link");
rmdir("$folder/real");
rmdir($folder);
?>
--EXPECT--
bool(true)
string(1) "x"
bool(true)
string(1) "x"
bool(true)
