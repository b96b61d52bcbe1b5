--TEST--
A worker's thread has the stack that zend.max_allowed_stack_size promises: running out of it is an error, not a crash
--INI--
zend.max_allowed_stack_size=40M
memory_limit=-1
--ENV--
IGOR_WORKERS=eval=../workers/eval.php
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') echo 'skip a sanitizer makes stack frames several times larger and this slower than its timeouts'; ?>
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
// Through array_map(), because PHP code that calls PHP code takes none of the thread's stack.
show('eval', ['run' => 'function deep(int $n) { return array_map(fn($x) => deep($x + 1), [$n]); } deep(0);']);
show('eval', ['run' => 'reply($stream, "the next task");']);
?>
--EXPECTF--
RuntimeException: background worker exited without completing the task
  because FatalError: Error Maximum call stack size of %d bytes (zend.max_allowed_stack_size - zend.reserved_stack_size) reached. Infinite recursion? in eval.php(%d) : eval()'d code
update {"reply":"the next task"}
completed
