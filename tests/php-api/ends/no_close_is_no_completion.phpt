--TEST--
What looks like an end but is no fclose(): caught exceptions, finally that exit() skips, collected cycles, shutdown functions
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,backoff_min_ms=1,max_consecutive_failures=-1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$ways = [
    'exception caught after the stream was unwound' =>
        '$f = function () use (&$stream) { $mine = $stream; $stream = null; throw new DomainException("inside"); };
         try { $f(); } catch (DomainException) { $GLOBALS["caught"] = true; }',
    'exception caught that holds the stream in its trace, until it goes' =>
        '$f = function () use (&$stream) { $mine = $stream; $stream = null; (function ($s) { throw new DomainException("inside"); })($mine); };
         try { $f(); } catch (DomainException $e) { unset($e); }',
    'unset' => 'unset($stream);',
    'overwritten' => '$stream = 1;',
    'collected cycle' => '$o = new stdClass(); $o->o = $o; $o->s = $stream; unset($stream, $o); gc_collect_cycles();',
    'exit() skips finally' => 'try { exit(3); } finally { fclose($stream); }',
    'exit() in a nested call' => 'array_map(function () { exit(4); }, [1]);',
    'exit() in an output callback' => 'ob_start(); echo "x"; exit(5);',
    'closed in a shutdown function' => 'register_shutdown_function(fn() => fclose($stream)); exit(6);',
    'closed in a destructor at the end' => '$GLOBALS["o"] = new class($stream) { function __construct(public $s) {} function __destruct() { fclose($this->s); } }; unset($stream); exit(7);',
    'exception in a destructor' => '$o = new class { function __destruct() { throw new DomainException("destructor"); } }; $GLOBALS["s"] = $stream; unset($o);',
    'user error' => '@trigger_error("given up", E_USER_ERROR);',
    'exception handler' => 'set_exception_handler(fn() => 1); throw new DomainException("handled");',
];
foreach ($ways as $name => $code) {
    echo $name, ': ', outcome(start($code)), "\n";
}
var_dump(ask('reply($stream, "alive");'));
?>
--EXPECT--
exception caught after the stream was unwound: UncaughtException
exception caught that holds the stream in its trace, until it goes: Abandoned
unset: Abandoned
overwritten: Abandoned
collected cycle: Abandoned
exit() skips finally: Exited(3)
exit() in a nested call: Exited(4)
exit() in an output callback: Exited(5)
closed in a shutdown function: Exited(6)
closed in a destructor at the end: Exited(7)
exception in a destructor: UncaughtException
user error: FatalError
exception handler: UncaughtException
string(5) "alive"
