<?php

// Looks at all of a request; what it does with it, the query says.
header('X-Length: ' . strlen($_SERVER['REQUEST_URI'] ?? ''));
if (isset($_GET['f'])) {
    echo 'early';
    flush();
}
echo json_encode([$_SERVER, $_GET, $_POST, $_COOKIE, getallheaders(), getenv()], JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR);
echo strlen(file_get_contents('php://input'));
if (isset($_GET['e'])) {
    frankenphp_finish_request();
    echo 'nobody sees this';
}
if (isset($_GET['x'])) {
    throw new RuntimeException($_SERVER['REQUEST_URI'] ?? '');
}
