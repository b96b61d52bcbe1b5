<?php

// The same in worker mode.

require_once __DIR__ . '/lib.php';
require_once __DIR__ . '/sender.php';

while (frankenphp_handle_request(serve_soak(...)));
