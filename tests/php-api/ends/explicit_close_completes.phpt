--TEST--
An explicit fclose() completes, wherever the stream is kept and whatever comes after it
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,backoff_min_ms=1,max_consecutive_failures=-1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$ways = [
    'local' => 'fclose($stream);',
    'second variable' => '$other = $stream; fclose($other);',
    'property' => '$holder = new stdClass(); $holder->stream = $stream; unset($stream); fclose($holder->stream);',
    'array' => '$a = [[$stream]]; unset($stream); fclose($a[0][0]);',
    'static' => 'static $kept; $kept = $stream; unset($stream); fclose($kept); $kept = null;',
    'global' => '$GLOBALS["kept"] = $stream; unset($stream); fclose($GLOBALS["kept"]);',
    'closure' => '$close = fn() => fclose($stream); unset($stream); $close();',
    'reference' => '$a = &$stream; fclose($a);',
    'generator' => '$g = (function () use ($stream) { yield fclose($stream); })(); unset($stream); $g->current();',
    'fiber' => '$f = new Fiber(function () use ($stream) { Fiber::suspend(); fclose($stream); }); unset($stream); $f->start(); $f->resume();',
    'temporary' => '$take = function () use (&$stream) { $s = $stream; $stream = null; return $s; }; fclose($take());',
    'destructor' => '$o = new class($stream) { function __construct(public $s) {} function __destruct() { fclose($this->s); } }; unset($stream); unset($o);',
    'finally' => 'try { throw new DomainException(); } catch (DomainException) {} finally { fclose($stream); }',
    'finally, and the exception goes on' => 'try { throw new DomainException(); } finally { fclose($stream); }',
    'then exit(1)' => 'fclose($stream); exit(1);',
    'then an exception' => 'fclose($stream); throw new DomainException();',
    'then a fatal error' => 'fclose($stream); eval("class Broken implements Countable {}");',
    'then the memory limit' => 'fclose($stream); str_repeat("x", 1 << 40);',
    'with a result' => 'frankenphp_worker_task_update($stream, ["n" => 1]); fclose($stream);',
];
foreach ($ways as $name => $code) {
    echo $name, ': ', outcome(start($code)), "\n";
}
echo json_encode(ask('reply($stream, "alive");')), "\n";
?>
--EXPECT--
local: completed
second variable: completed
property: completed
array: completed
static: completed
global: completed
closure: completed
reference: completed
generator: completed
fiber: completed
temporary: completed
destructor: completed
finally: completed
finally, and the exception goes on: completed
then exit(1): completed
then an exception: completed
then a fatal error: completed
then the memory limit: completed
with a result: completed
"alive"
