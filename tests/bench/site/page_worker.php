<?php

require __DIR__ . '/answers.php';
while (frankenphp_handle_request(answer(...))) {
}
