--TEST--
PHP's stream functions on either side of a task: they answer, warn clearly, and harm nothing
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
const LOOK = <<<'PHP'
    $said = [];
    set_error_handler(function ($level, $message) use (&$said) {
        $said[] = '    ' . $message;
        return true;
    });
    foreach ([
        'feof' => fn() => feof($stream),
        'fgets' => fn() => fgets($stream),
        'fgetc' => fn() => fgetc($stream),
        'fread 1' => fn() => fread($stream, 1),
        'fread 8192' => fn() => fread($stream, 8192),
        'fread 0' => fn() => fread($stream, 0),
        'stream_get_contents' => fn() => stream_get_contents($stream),
        'stream_get_line' => fn() => stream_get_line($stream, 100),
        'fpassthru' => fn() => fpassthru($stream),
        'fwrite' => fn() => fwrite($stream, 'text'),
        'stream_copy_to_stream' => fn() => stream_copy_to_stream($stream, fopen('php://memory', 'w')),
        'fflush' => fn() => fflush($stream),
        'ftell' => fn() => ftell($stream),
        'fseek' => fn() => fseek($stream, 0),
        'rewind' => fn() => rewind($stream),
        'fstat' => fn() => fstat($stream),
        'ftruncate' => fn() => ftruncate($stream, 0),
        'flock' => fn() => flock($stream, LOCK_EX),
        'stream_set_blocking false' => fn() => stream_set_blocking($stream, false),
        'blocked' => fn() => stream_get_meta_data($stream)['blocked'],
        'stream_set_blocking true' => fn() => stream_set_blocking($stream, true),
        'stream_set_timeout' => fn() => stream_set_timeout($stream, 1),
        'stream_set_read_buffer' => fn() => stream_set_read_buffer($stream, 0),
        'stream_set_write_buffer' => fn() => stream_set_write_buffer($stream, 0),
        'stream_set_chunk_size' => fn() => stream_set_chunk_size($stream, 100) > 0,
        'stream_supports_lock' => fn() => stream_supports_lock($stream),
        'stream_isatty' => fn() => stream_isatty($stream),
        'stream_is_local' => fn() => stream_is_local($stream),
        'stream_get_meta_data' => fn() => stream_get_meta_data($stream),
        'stream_socket_get_name' => fn() => stream_socket_get_name($stream, false),
        'get_resource_type' => fn() => get_resource_type($stream),
        'is still open' => fn() => is_resource($stream),
    ] as $name => $call) {
        try {
            $said[] = $name . ': ' . json_encode($call());
        } catch (Throwable $e) {
            $said[] = $name . ': ' . get_class($e) . ': ' . $e->getMessage();
        }
    }
    restore_error_handler();
    PHP;
$task = start(LOOK . 'frankenphp_worker_task_update($stream, $said); fclose($stream);');
$theirs = frankenphp_worker_task_read($task);
(function ($stream) {
    echo "--- sender's side\n";
    eval(LOOK);
    echo implode("\n", $said), "\n";
})(start('frankenphp_worker_task_update($stream, ["an" => "update"]); wait_for_cancel($stream);'));
echo "--- worker's side\n", implode("\n", $theirs), "\n";
var_dump(frankenphp_worker_task_read($task));
?>
--EXPECT--
--- sender's side
feof: false
    fgets(): A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()
fgets: false
    fgetc(): A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()
fgetc: false
    fread(): A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()
fread 1: false
    fread(): A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()
fread 8192: false
fread 0: ValueError: fread(): Argument #2 ($length) must be greater than 0
    stream_get_contents(): A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()
stream_get_contents: ""
    stream_get_line(): A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()
stream_get_line: false
    fpassthru(): A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()
fpassthru: -1
    fwrite(): Stream is not writable
fwrite: false
    stream_copy_to_stream(): A task's stream holds no bytes; read its updates with frankenphp_worker_task_read()
stream_copy_to_stream: false
fflush: true
ftell: 0
    fseek(): Stream does not support seeking
fseek: -1
    rewind(): Stream does not support seeking
rewind: false
fstat: false
    ftruncate(): Can't truncate this stream!
ftruncate: false
flock: false
stream_set_blocking false: true
blocked: false
stream_set_blocking true: true
stream_set_timeout: false
stream_set_read_buffer: 0
stream_set_write_buffer: -1
stream_set_chunk_size: true
stream_supports_lock: false
stream_isatty: false
stream_is_local: false
stream_get_meta_data: {"timed_out":false,"blocked":true,"eof":false,"stream_type":"task","mode":"r","unread_bytes":0,"seekable":false}
stream_socket_get_name: false
get_resource_type: "stream"
is still open: true
--- worker's side
feof: false
    fgets(): A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled
fgets: false
    fgetc(): A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled
fgetc: false
    fread(): A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled
fread 1: false
    fread(): A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled
fread 8192: false
fread 0: ValueError: fread(): Argument #2 ($length) must be greater than 0
    stream_get_contents(): A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled
stream_get_contents: ""
    stream_get_line(): A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled
stream_get_line: false
    fpassthru(): A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled
fpassthru: -1
    fwrite(): Stream is not writable
fwrite: false
    stream_copy_to_stream(): A task's stream holds no bytes; it only tells (stream_select, feof) when the task was cancelled
stream_copy_to_stream: false
fflush: true
ftell: 0
    fseek(): Stream does not support seeking
fseek: -1
    rewind(): Stream does not support seeking
rewind: false
fstat: false
    ftruncate(): Can't truncate this stream!
ftruncate: false
flock: false
stream_set_blocking false: true
blocked: false
stream_set_blocking true: true
stream_set_timeout: false
stream_set_read_buffer: 0
stream_set_write_buffer: -1
stream_set_chunk_size: true
stream_supports_lock: false
stream_isatty: false
stream_is_local: false
stream_get_meta_data: {"timed_out":false,"blocked":true,"eof":false,"stream_type":"received task","mode":"r","unread_bytes":0,"seekable":false}
stream_socket_get_name: false
get_resource_type: "stream"
is still open: true
NULL
