--TEST--
A request's snapshot is memory that all threads read: whatever a script does to it, it does to a copy
--INI--
opcache.enable_cli=0
--ENV--
IGOR_WORKERS=p=../workers/publisher.php,num=1
--FILE--
<?php
function publish(array $vars): void {
    Igor\Worker::send('p', ['do' => 'publish', 'vars' => $vars])->await();
}
function vars(): array {
    return frankenphp_worker_get_vars('p');
}

$vars = [
    'list' => ['x', 'two', '', 3, 4.5, true, false, null, [], [[]]],
    'ints' => range(1, 20),
    'floats' => [1.5, -0.0, INF],
    'rows' => [['id' => 1, 'name' => 'ada', 9 => 'nine'], ['id' => 2, 'name' => 'grace', 9 => 'ten']],
    'map' => [7 => 'seven', -3 => 'minus', 'k' => 'v', '' => 'empty', "\0b" => "binary \0", 'long ' . str_repeat('k', 100) => 1],
    'max' => [PHP_INT_MAX => 'last'],
    'many' => array_combine(array_map(fn ($i) => "key $i", range(1, 1000)), range(1, 1000)),
    'text' => 'some text',
];
publish($vars);

$before = memory_get_usage();
$read = vars();
echo 'it takes no memory of the script\'s: ';
var_dump(memory_get_usage() - $before < 4096);
echo 'it is what was published: ';
var_dump($read === $vars, serialize($read) === serialize($vars), json_encode($read['rows']) === json_encode($vars['rows']));
echo 'each key is found: ';
var_dump(count(array_filter(range(1, 1000), fn ($i) => $read['many']["key $i"] === $i)), isset($read['many']['key 0']));
var_dump($read['map']['7'], $read['map'][-3], $read['map'][''], $read['rows'][1]['name']);

// Writes of all kinds.
$read['list'][] = 'more';
$read['ints'][] = 21;
$read['map'][] = 'eight';
unset($read['map']['k'], $read['rows'][0]['name'], $read['list'][1]);
$read['rows'][1]['name'] .= ' hopper';
$read['text'] .= '!';
$read['text'][0] = 'S';
$read['new']['deep'][] = 1;
try {
    $read['max'][] = 1;
} catch (Error $e) {
    echo $e->getMessage(), "\n";
}
foreach ($read['floats'] as &$float) {
    $float *= 2;
}
unset($float);
sort($read['ints']);
rsort($read['many']);
array_walk_recursive($read['rows'], function (&$value) { $value = "<$value>"; });
$reference = &$read['list'][0];
$reference = 'by reference';
end($read['map']);
array_push($read['list'], 1);
array_splice($read['ints'], 2, 3, ['spliced']);
$read['text'] = str_repeat($read['text'], 2);
echo 'changed: ', json_encode([$read['map'], $read['rows'], $read['text'], $read['floats'][0], array_slice($read['ints'], 0, 4), $read['list'][0]]), "\n";
echo 'and what was published is as it was: ';
var_dump(vars() === $vars);

// Places in which a value stays until the very end.
class Keeps {
    public static array $vars;
    public function __construct(public array $own) {}
    public function __destruct() { echo 'the destructor sees ', count($this->own), ' and ', $this->own['rows'][0]['name'], "\n"; }
}
Keeps::$vars = vars();
$keeps = new Keeps(vars());
function remembers(array $vars): void { static $kept; $kept = $vars; }
remembers(vars());
define('SNAPSHOT', vars()['rows']);
ini_set('user_agent', vars()['text']);
putenv('TEXT=' . vars()['text']);
class Stream { public $context; }
stream_wrapper_register(vars()['rows'][0]['name'], Stream::class);
$GLOBALS[vars()['text']] = vars();
$object = (object) vars()['rows'][0];
$object->name .= '!';
$iterator = new ArrayIterator(vars()['map']);
foreach (new RecursiveIteratorIterator(new RecursiveArrayIterator(vars())) as $leaf) {
}
$iterator[] = 'more';
$generator = (function (array $vars) { yield from $vars['ints']; })(vars());
$generator->current();
$fiber = new Fiber(function (array $vars) { Fiber::suspend($vars); });
$fiber->start(vars());
set_error_handler(function () { return true; });
echo vars()['nothing'];
$cycle = vars();
$cycle['self'] = &$cycle;
gc_collect_cycles();
var_dump(preg_match('/^some/u', vars()['text']), mb_strlen(vars()['text']), iterator_count(new ArrayIterator(vars()['many'])));
echo 'still: ';
var_dump(vars() === $vars);

// More snapshots than are kept for one script.
for ($i = 1, $right = 0, $all = []; $i <= 30; $i++) {
    publish(['n' => $i, 'text' => "number $i"]);
    $all[] = vars();
    $right += vars() === vars() && end($all)['text'] === "number $i";
}
var_dump($right, array_column($all, 'n') === range(1, 30), $all[0]);
?>
--EXPECT--
it takes no memory of the script's: bool(true)
it is what was published: bool(true)
bool(true)
bool(true)
each key is found: int(1000)
bool(false)
string(5) "seven"
string(5) "minus"
string(5) "empty"
string(5) "grace"
Cannot add element to the array as the next element is already occupied
changed: [{"7":"seven","-3":"minus","":"empty","\u0000b":"binary \u0000","long kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk":1,"8":"eight"},[{"id":"<1>","9":"<nine>"},{"id":"<2>","name":"<grace hopper>","9":"<ten>"}],"Some text!Some text!",3,[1,2,"spliced",6],"by reference"]
and what was published is as it was: bool(true)
int(1)
int(9)
int(1000)
still: bool(true)
int(30)
bool(true)
array(2) {
  ["n"]=>
  int(1)
  ["text"]=>
  string(8) "number 1"
}
the destructor sees 8 and ada
