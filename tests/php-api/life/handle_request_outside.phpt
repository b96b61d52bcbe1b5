--TEST--
frankenphp_handle_request(): there, so that frameworks find worker mode, but only for the script of an HTTP worker
--FILE--
<?php
var_dump(function_exists('frankenphp_handle_request'));
echo (new ReflectionFunction('frankenphp_handle_request'))->getReturnType(), "\n";
try {
    frankenphp_handle_request(function () { echo "never\n"; });
} catch (RuntimeException $e) {
    echo $e->getMessage(), "\n";
}
try {
    frankenphp_handle_request('no such function');
} catch (TypeError $e) {
    echo $e->getMessage(), "\n";
}
?>
--EXPECT--
bool(true)
bool
frankenphp_handle_request() called while not in worker mode
frankenphp_handle_request(): Argument #1 ($callback) must be a valid callback, function "no such function" not found or invalid function name
