<?php

// What Composer's autoloader would do, for those who do not use it.

declare(strict_types=1);

spl_autoload_register(static function (string $class): void {
    if (strncmp($class, 'Igor\\', 5) === 0) {
        $file = __DIR__ . '/src/' . strtr(substr($class, 5), '\\', '/') . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
require __DIR__ . '/src/functions.php';
