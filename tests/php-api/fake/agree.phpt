--TEST--
Fake workers (php-api/composer) do what the server does: these tests of the server pass on them, without Igor
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') echo 'skip nothing of Igor runs in it, and under a sanitizer it takes minutes'; ?>
--FILE--
<?php
// Left out is what the fakes say that they do not do: exit() and fatal errors in a worker, scripts that
// declare functions and run twice, time that passes in usleep(), collecting cycles by hand.
$agree = <<<'LIST'
    cancel/after_the_end cancel/before_pickup cancel/during_work cancel/half_read
    cancel/queued_tasks
    ends/held_with_a_second_task ends/let_go_is_abandoned ends/updates_before_the_abort
    errors/no_such_worker errors/no_worker_at_all errors/script_does_not_compile errors/script_is_missing
    object/failures object/round_trip object/states object/iteration object/groups_of_failures object/inbox_and_job
    payload/edges payload/every_type payload/sizes payload/update_is_refused_too
    pools/overflow_reject
    snapshots/errors snapshots/publish_and_read snapshots/read_again_costs_no_copy snapshots/several_names
    streams/select_in_a_worker streams/select_on_many streams/sender_side streams/signaling_stream
    task/lazy task/more_updates_than_places task/round_trip
    LIST;
$package = getenv('IGOR_COMPOSER') ?: __DIR__ . '/../../../php-api/composer';
$php = PHP_BINDIR . '/php';
$sections = function (string $file): array {
    preg_match_all('/^--([A-Z_]+)--\n(.*?)(?=^--[A-Z_]+--$|\z)/ms', file_get_contents($file), $found);
    return array_combine($found[1], $found[2]);
};
$count = 0;
foreach (preg_split('/\s+/', trim($agree)) as $name) {
    $file = dirname(__DIR__) . "/$name.phpt";
    if (!is_file($file)) {
        echo "$name: there is no such test\n";
        continue;
    }
    $command = [$php, '-n', '-d', 'memory_limit=512M', __DIR__ . '/run.inc.php', $package, $file];
    $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
    $said = trim(str_replace("\r\n", "\n", stream_get_contents($pipes[1])));
    proc_close($process);
    $parts = $sections($file);
    if (isset($parts['EXPECTF'])) {
        $pattern = strtr(preg_quote(trim($parts['EXPECTF']), '/'), ['%s' => '[^\r\n]+', '%S' => '[^\r\n]*', '%d' => '\d+', '%f' => '[+-]?[0-9.]+', '%A' => '.*', '%a' => '.+']);
        $agrees = preg_match("/^$pattern\$/s", $said) === 1;
    } else {
        $agrees = $said === trim($parts['EXPECT']);
    }
    if (!$agrees) {
        echo "--- $name, on the fakes:\n$said\n--- and on the server:\n", trim($parts['EXPECT'] ?? $parts['EXPECTF']), "\n";
    }
    ++$count;
}
echo "$count tests agree\n";
?>
--EXPECTF--
%d tests agree
