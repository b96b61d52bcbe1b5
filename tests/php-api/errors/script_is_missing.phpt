--TEST--
A worker whose script is not there: the sender is told, soon
--ENV--
IGOR_WORKERS=absent=../workers/absent.php,max_consecutive_failures=2
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$begin = hrtime(true);
show('absent', []);
echo (hrtime(true) - $begin) / 1e9 < 8 ? 'soon' : 'late';
?>
--EXPECTF--
RuntimeException: background worker exited without completing the task
  because %s
soon
