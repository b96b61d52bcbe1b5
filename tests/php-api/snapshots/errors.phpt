--TEST--
Snapshots that do not come
--ENV--
IGOR_WORKERS=dies=../workers/dies_at_boot.php;silent=../workers/one_task.php
--FILE--
<?php
function try_to(callable $do): void
{
    try {
        $do();
    } catch (Throwable $e) {
        echo get_class($e), ': ', $e->getMessage(), "\n";
        if ($p = $e->getPrevious()) {
            echo '  ', $p->getReason()->name, ' ', $p->getErrorClass(), ': ', $p->getErrorMessage(), "\n";
        }
    }
}
try_to(fn () => frankenphp_worker_get_vars('dies'));
try_to(fn () => frankenphp_worker_get_vars('silent', 0.01));
try_to(fn () => frankenphp_worker_get_vars('nobody'));
try_to(fn () => frankenphp_worker_get_vars(''));
try_to(fn () => frankenphp_worker_get_vars("a\0b"));
try_to(fn () => frankenphp_worker_get_vars(['nobody', 1]));
try_to(fn () => frankenphp_worker_get_vars([1]));
try_to(fn () => frankenphp_worker_get_vars('silent', -1));
try_to(fn () => frankenphp_worker_get_vars('silent', NAN));
try_to(fn () => frankenphp_worker_set_vars([]));
?>
--EXPECT--
RuntimeException: background worker exited without completing the task
  UncaughtException DomainException: no database
RuntimeException: timeout waiting for background worker "silent" to publish its vars
RuntimeException: no background worker named "nobody" in this php_server or the global block, and no catch-all
ValueError: frankenphp_worker_get_vars(): Argument #1 ($name) must not be empty
ValueError: frankenphp_worker_get_vars(): Argument #1 ($name) must not contain any null bytes
RuntimeException: no background worker named "nobody" in this php_server or the global block, and no catch-all
TypeError: frankenphp_worker_get_vars(): Argument #1 ($name) must contain only names of workers as strings, int given
ValueError: frankenphp_worker_get_vars(): Argument #2 ($timeout) must be a finite number of seconds, 0 or more
ValueError: frankenphp_worker_get_vars(): Argument #2 ($timeout) must be a finite number of seconds, 0 or more
RuntimeException: frankenphp_worker_set_vars() can only be called in a background worker
