<?php

// Runs the script of a phpt file against the fake workers of php-api/composer, on a PHP without Igor:
//
//     php run.inc.php PACKAGE FILE.phpt
//
// The file's own --ENV-- says which workers there are, as it does for the server.

error_reporting(E_ALL);
ini_set('display_errors', '1');
[, $package, $phpt] = $argv;
require "$package/autoload.php";

function section(string $name, string $phpt): ?string
{
    return preg_match("/^--{$name}--\n(.*?)(?=^--[A-Z_]+--$|\\z)/ms", file_get_contents($phpt), $match) ? $match[1] : null;
}

$fakes = Igor\Testing\FakeWorkers::install();
chdir(dirname($phpt));
preg_match('/^IGOR_WORKERS=(.*)$/m', (string) section('ENV', $phpt), $match);
foreach (array_filter(explode(';', $match[1] ?? '')) as $worker) {
    $parts = explode(',', $worker);
    [$name, $file] = explode('=', array_shift($parts), 2);
    $options = [];
    foreach ($parts as $part) {
        [$key, $value] = explode('=', $part, 2);
        $options += match ($key) {
            'num', 'queue', 'updates' => [$key => (int) $value],
            'max_threads' => ['maxThreads' => (int) $value],
            'max_payload' => ['maxPayload' => (int) $value],
            'overflow' => ['overflowReject' => $value === 'reject'],
            'task_timeout_ms' => ['timeout' => $value / 1000],
            default => [],
        };
    }
    $fakes->worker($name, realpath(dirname($phpt) . "/$file") ?: dirname($phpt) . "/$file", ...$options);
}
$script = dirname($phpt) . '/.fake-' . basename($phpt, '.phpt') . '.php';
file_put_contents($script, section('FILE', $phpt));
register_shutdown_function(fn() => @unlink($script));
(static function (string $script): void {
    require $script;
})($script);
