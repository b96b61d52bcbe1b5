<?php

while (frankenphp_handle_request(static function (): void {
    echo "hello\n";
})) {
}
