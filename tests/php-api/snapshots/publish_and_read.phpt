--TEST--
A snapshot is what the worker published last, and the very same array until there is a newer one
--ENV--
IGOR_WORKERS=p=../workers/publisher.php,num=1
--FILE--
<?php
$publish = function (array $vars, string $how = 'publish') {
    Igor\Worker::send('p', ['do' => $how, 'vars' => $vars])->await();
};

var_dump(frankenphp_worker_get_vars('p') === ['n' => 0]);

$vars = ['list' => [1, 2.5, null, true], 'map' => ['x' => "a\0b"], 7 => 'seven'];
$publish($vars);
var_dump(frankenphp_worker_get_vars('p') === $vars);

// What a reader does to its copy stays its own.
$mine = frankenphp_worker_get_vars('p');
$mine['list'] = 'changed';
var_dump(frankenphp_worker_get_vars('p') === $vars);

$publish(['n' => 2], 'publish through the inbox');
var_dump(frankenphp_worker_get_vars('p'));

$publish([]);
var_dump(frankenphp_worker_get_vars('p'));
echo Igor\Worker::send('p', ['do' => 'refused'])->await(), "\n";
var_dump(frankenphp_worker_get_vars('p'));
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
array(1) {
  ["n"]=>
  int(2)
}
array(0) {
}
$vars['a']['b']: object of class stdClass cannot be sent; null, bool, int, float, string, array and enum cases can
array(0) {
}
