<?php

require __DIR__ . '/../src/Kernel.php';

use Symfony\Component\HttpFoundation\Request;

$kernel = new App\Kernel($_SERVER['APP_ENV'], false);
$kernel->boot();

$handle = function () use ($kernel): void {
    $request = Request::createFromGlobals();
    $response = $kernel->handle($request);
    $response->send();
    $kernel->terminate($request, $response);
};

while (frankenphp_handle_request($handle)) {
    gc_collect_cycles();
}
