--TEST--
Snapshots of several workers in one call, lazy ones started
--ENV--
IGOR_WORKERS=p=../workers/publisher.php;q=../workers/publisher.php
--FILE--
<?php
Igor\Worker::send('q', ['do' => 'publish', 'vars' => ['q' => true]])->await();
var_dump(frankenphp_worker_get_vars(['p', 'q']));
var_dump(frankenphp_worker_get_vars([]));
// The engine has one empty array for all, in memory that nobody may write to.
Igor\Worker::send('q', ['do' => 'publish', 'vars' => []])->await();
var_dump(frankenphp_worker_get_vars(['q', 'p'])['q'], frankenphp_worker_get_vars('q'));
?>
--EXPECT--
array(2) {
  ["p"]=>
  array(1) {
    ["n"]=>
    int(0)
  }
  ["q"]=>
  array(1) {
    ["q"]=>
    bool(true)
  }
}
array(0) {
}
array(0) {
}
array(0) {
}
