--TEST--
The stubs for editors, and the classes of the Composer package, declare what Igor really has
--FILE--
<?php
require __DIR__ . '/dump.inc.php';
$package = getenv('IGOR_COMPOSER') ?: __DIR__ . '/../../../php-api/composer';

function declared_by(string $file): array
{
    $process = proc_open([PHP_BINDIR . '/php', '-n', __DIR__ . '/dump.inc.php', $file], [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
    $said = stream_get_contents($pipes[1]);
    proc_close($process);
    return json_decode($said, true) ?? exit("$file: $said\n");
}
function differences(string $title, array $is, array $real): void
{
    foreach ($real + $is as $name => $_) {
        if (($is[$name] ?? null) !== ($real[$name] ?? null)) {
            echo "$title, $name: ", json_encode($is[$name] ?? null), "\n  but really: ", json_encode($real[$name] ?? null), "\n";
        }
    }
    echo $title, ': ', count($is), " compared\n";
}

$igor = new ReflectionExtension('igor');
$real = json_decode(json_encode(api(array_keys($igor->getFunctions()), array_keys($igor->getClasses()))), true);
differences('stubs', declared_by("$package/stubs/igor.php"), $real);

// The package has the functions of background workers, not those of HTTP scripts.
$workers = array_filter($real, fn($name) => str_starts_with($name, 'frankenphp_worker_') || str_starts_with($name, 'Igor\\'), ARRAY_FILTER_USE_KEY);
differences('package', declared_by("$package/autoload.php"), $workers);

// With Igor, the package steps back: nothing of it is declared.
require "$package/autoload.php";
var_dump((new ReflectionFunction('frankenphp_worker_task_send'))->isInternal(), (new ReflectionClass('Igor\Worker'))->isInternal());
try {
    Igor\Testing\FakeWorkers::install();
} catch (LogicException $e) {
    echo $e->getMessage(), "\n";
}
?>
--EXPECTF--
stubs: %d compared
package: 15 compared
bool(true)
bool(true)
fake workers cannot stand in for the workers of a running Igor; run unit tests with a php that has no extension "igor"
