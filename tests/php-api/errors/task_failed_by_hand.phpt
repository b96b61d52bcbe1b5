--TEST--
A TaskFailed that a test makes itself has a reason, too, before and after serialize()
--FILE--
<?php
$own = new Igor\TaskFailed('x');
foreach ([$own, unserialize(serialize($own)), new class('y') extends Igor\TaskFailed {}] as $failed) {
    var_dump($failed->getReason() === Igor\Reason::Abandoned, $failed->getExitStatus(), $failed->getErrorClass());
}
try {
    $own->getReason(1);
} catch (ArgumentCountError $e) {
    echo $e->getMessage(), "\n";
}
?>
--EXPECT--
bool(true)
int(0)
NULL
bool(true)
int(0)
NULL
bool(true)
int(0)
NULL
Igor\TaskFailed::getReason() expects exactly 0 arguments, 1 given
