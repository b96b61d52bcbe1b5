<?php

// A small application of Symfony's components, in worker mode: booted once, asked many times. The loop has the
// shape of those of symfony/runtime and runtime/frankenphp-symfony: what the boot found in $_SERVER is there in
// each request, the kernel ends a request when its answer is out, and the script ends after so many of them.

error_reporting(E_ALL & ~E_DEPRECATED); // of Symfony 5.4 under PHP 8.4: parameters that are null by default
foreach (['HttpFoundation', 'EventDispatcher', 'HttpKernel', 'Routing'] as $component) {
    require_once "/usr/share/php/Symfony/Component/$component/autoload.php";
}
require __DIR__ . '/../application.php';

$_SERVER['APP_SECRET'] = 'from a file that the boot has read'; // as Dotenv does
$kernel = application();
$boot = bin2hex(random_bytes(8));
$served = 0;
$most = (int) ($_SERVER['MAX_REQUESTS'] ?? 0);
$atBoot = array_filter($_SERVER, fn(string $name) => !str_starts_with($name, 'HTTP_'), ARRAY_FILTER_USE_KEY);
$request = $response = null;

$handle = function () use ($kernel, $boot, $atBoot, &$served, &$request, &$response): void {
    $_SERVER += $atBoot;
    $request = Symfony\Component\HttpFoundation\Request::createFromGlobals();
    $request->attributes->add(['_boot' => $boot, '_served' => ++$served]);
    $response = $kernel->handle($request);
    $response->send();
};
$end = function () use ($kernel, &$request, &$response): void {
    if ($request && $response) {
        $kernel->terminate($request, $response);
    }
    $request = $response = null;
};

if (empty($_SERVER['FRANKENPHP_WORKER']) || !function_exists('frankenphp_handle_request')) {
    $handle(); // the classic way
    $end();
    return;
}
ignore_user_abort(true);
do {
    $more = frankenphp_handle_request($handle);
    $end();
    gc_collect_cycles();
} while ($more && ($most === 0 || $served < $most));
