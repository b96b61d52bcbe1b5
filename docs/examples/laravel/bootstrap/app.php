<?php

// Debian's php-laravel-framework; in a project: require __DIR__ . '/../vendor/autoload.php'.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED);  // Laravel 8 is older than PHP 8.4
set_include_path('/usr/share/php');
require_once 'Illuminate/autoload.php';
require_once __DIR__ . '/../app/Reports.php';

$storage = getenv('APP_STORAGE');
foreach (["$storage/framework/views", "$storage/framework/cache", "$storage/logs"] as $folder) {
    is_dir($folder) || @mkdir($folder, 0700, true) || is_dir($folder) || throw new RuntimeException("can't make $folder");
}
foreach (['PACKAGES', 'SERVICES', 'CONFIG', 'ROUTES', 'EVENTS'] as $cache) {
    $_ENV["APP_{$cache}_CACHE"] = "$storage/framework/cache/" . strtolower($cache) . '.php';
}

$app = new Illuminate\Foundation\Application(dirname(__DIR__));
$app->useStoragePath($storage);
$app->singleton(Illuminate\Contracts\Http\Kernel::class, Illuminate\Foundation\Http\Kernel::class);
$app->singleton(Illuminate\Contracts\Console\Kernel::class, Illuminate\Foundation\Console\Kernel::class);
$app->singleton(Illuminate\Contracts\Debug\ExceptionHandler::class, Illuminate\Foundation\Exceptions\Handler::class);
$app->scoped(App\Reports::class);
$app->booted(fn() => require __DIR__ . '/../routes/web.php');
return $app;
