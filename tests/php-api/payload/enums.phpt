--TEST--
Enum cases, unit and backed, are the receiver's own cases again
--ENV--
IGOR_WORKERS=tool=../workers/tool.php,num=1
--FILE--
<?php
enum Suit: string { case Hearts = 'h'; case Spades = 's'; }
enum Direction { case Up; case Down; }
$task = frankenphp_worker_task_send('tool', ['do' => 'echo', 'value' => [Suit::Spades, ['way' => Direction::Up]]]);
$back = frankenphp_worker_task_read($task)['echo'];
var_dump($back[0] === Suit::Spades, $back[1]['way'] === Direction::Up);
?>
--EXPECT--
bool(true)
bool(true)
