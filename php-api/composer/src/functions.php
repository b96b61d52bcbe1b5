<?php

// The functions of background workers, where the server does not bring them. They do what fake workers do
// while those are installed (Igor\Testing\FakeWorkers), and else say that they need the server.
//
// frankenphp_handle_request() and the functions of HTTP scripts are left out on purpose: frameworks find out
// by function_exists() whether they run in worker mode, and must find nothing here.

use Igor\Internal\Backend;

if (!function_exists('frankenphp_worker_task_send')) {
    /** @return resource */
    function frankenphp_worker_task_send(string $name, array $payload, float $timeout = 30.0)
    {
        return Backend::runtime(__FUNCTION__)->send(__FUNCTION__, $name, $payload, $timeout);
    }
}

if (!function_exists('frankenphp_worker_task_read')) {
    /** @param resource $stream */
    function frankenphp_worker_task_read($stream): ?array
    {
        return Backend::runtime(__FUNCTION__)->readOrAbort(__FUNCTION__, $stream);
    }
}

if (!function_exists('frankenphp_worker_task_receive')) {
    function frankenphp_worker_task_receive(): ?array
    {
        return Backend::runtime(__FUNCTION__)->receive(__FUNCTION__);
    }
}

if (!function_exists('frankenphp_worker_task_update')) {
    /** @param resource $stream */
    function frankenphp_worker_task_update($stream, array $data): void
    {
        Backend::runtime(__FUNCTION__)->updateStream(__FUNCTION__, $stream, $data);
    }
}

if (!function_exists('frankenphp_worker_get_signaling_stream')) {
    /** @return resource */
    function frankenphp_worker_get_signaling_stream()
    {
        return Backend::runtime(__FUNCTION__)->signals(__FUNCTION__);
    }
}

if (!function_exists('frankenphp_worker_set_vars')) {
    function frankenphp_worker_set_vars(array $vars): void
    {
        Backend::runtime(__FUNCTION__)->publish(__FUNCTION__, $vars);
    }
}

if (!function_exists('frankenphp_worker_get_vars')) {
    function frankenphp_worker_get_vars(string|array $name, float $timeout = 30.0): array
    {
        return Backend::runtime(__FUNCTION__)->vars(__FUNCTION__, $name, $timeout);
    }
}
