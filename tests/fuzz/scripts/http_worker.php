<?php

while (frankenphp_handle_request(function () {
    require __DIR__ . '/page.php';
})) {
}
