<?php

// A small application of Symfony's components, in worker mode: booted once, asked many times. The loop is what
// symfony/runtime and runtime/frankenphp-symfony do.

error_reporting(E_ALL & ~E_DEPRECATED); // of Symfony 5.4 under PHP 8.4: parameters that are null by default
foreach (['HttpFoundation', 'EventDispatcher', 'HttpKernel', 'Routing'] as $component) {
    require_once "/usr/share/php/Symfony/Component/$component/autoload.php";
}
require __DIR__ . '/../application.php';

$kernel = application();
$boot = bin2hex(random_bytes(8));
$served = 0;

$handle = function () use ($kernel, $boot, &$served): void {
    $request = Symfony\Component\HttpFoundation\Request::createFromGlobals();
    $request->attributes->add(['_boot' => $boot, '_served' => ++$served]);
    $response = $kernel->handle($request);
    $response->send();
    $kernel->terminate($request, $response);
};

if (($_SERVER['FRANKENPHP_WORKER'] ?? '') === '' || !function_exists('frankenphp_handle_request')) {
    $handle(); // the classic way
    return;
}
while (frankenphp_handle_request($handle)) {
    gc_collect_cycles();
}
