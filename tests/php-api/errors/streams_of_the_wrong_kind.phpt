--TEST--
Streams of other kinds, of the other side, closed ones, in each function of both sides
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1;other=../workers/tool.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$closed = start('fclose($stream);');
fclose($closed);
$file = fopen('php://memory', 'r+');
$closed_file = fopen('php://memory', 'r+');
fclose($closed_file);
$directory = opendir('.');
$context = stream_context_create();
[$socket] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
foreach (compact('closed', 'file', 'closed_file', 'directory', 'context', 'socket') as $name => $stream) {
    attempt("read $name", fn() => frankenphp_worker_task_read($stream));
}
$task = start('fclose($stream);');
attempt('update outside of a worker', fn() => frankenphp_worker_task_update($task, []));
attempt('receive outside of a worker', fn() => frankenphp_worker_task_receive());
attempt('signals outside of a worker', fn() => frankenphp_worker_get_signaling_stream());
attempt('read', fn() => frankenphp_worker_task_read($task));

const TRIES = <<<'PHP'
    $try = function (string $title, callable $what) use (&$said) {
        try {
            $what();
            $said[] = "$title: nothing happened";
        } catch (Throwable $e) {
            $said[] = "$title: " . get_class($e) . ': ' . $e->getMessage();
        }
    };
    PHP;
echo implode("\n", ask(TRIES . <<<'PHP'
    $sent = frankenphp_worker_task_send('other', ['do' => 'nothing']);
    $signals = frankenphp_worker_get_signaling_stream();
    $file = fopen('php://memory', 'r+');
    $closed = fopen('php://memory', 'r+');
    fclose($closed);
    $try('update a sent task', fn() => frankenphp_worker_task_update($sent, []));
    $try('update the signals', fn() => frankenphp_worker_task_update($signals, []));
    $try('update a file', fn() => frankenphp_worker_task_update($file, []));
    $try('update a closed file', fn() => frankenphp_worker_task_update($closed, []));
    $try('update null', fn() => frankenphp_worker_task_update(null, []));
    $try('update with a text', fn() => frankenphp_worker_task_update($stream, 'text'));
    $try('read a received task', fn() => frankenphp_worker_task_read($stream));
    $try('read the signals', fn() => frankenphp_worker_task_read($signals));
    $GLOBALS['before'] = $stream;
    reply($stream, $said);
    PHP)), "\n";
echo implode("\n", ask(TRIES . <<<'PHP'
    $try('update a completed task', fn() => frankenphp_worker_task_update($GLOBALS['before'], []));
    $try('close it again', fn() => fclose($GLOBALS['before']));
    reply($stream, $said);
    PHP)), "\n";
?>
--EXPECT--
read closed: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be an open task stream; this one is closed or no stream
read file: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be a task stream from frankenphp_worker_task_send(), MEMORY stream given
read closed_file: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be an open task stream; this one is closed or no stream
read directory: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be a task stream from frankenphp_worker_task_send(), dir stream given
read context: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be an open task stream; this one is closed or no stream
read socket: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be a task stream from frankenphp_worker_task_send(), generic_socket stream given
update outside of a worker: RuntimeException: frankenphp_worker_task_update() can only be called in a background worker
receive outside of a worker: RuntimeException: frankenphp_worker_task_receive() can only be called in a background worker
signals outside of a worker: RuntimeException: frankenphp_worker_get_signaling_stream() can only be called in a background worker
read: null
update a sent task: TypeError: frankenphp_worker_task_update(): Argument #1 ($stream) must be a stream from frankenphp_worker_task_receive(), this is the sender's side of a task
update the signals: TypeError: frankenphp_worker_task_update(): Argument #1 ($stream) must be a task stream from frankenphp_worker_task_receive(), worker signals stream given
update a file: TypeError: frankenphp_worker_task_update(): Argument #1 ($stream) must be a task stream from frankenphp_worker_task_receive(), MEMORY stream given
update a closed file: TypeError: frankenphp_worker_task_update(): Argument #1 ($stream) must be an open task stream; this one is closed or no stream
update null: TypeError: frankenphp_worker_task_update(): Argument #1 ($stream) must be of type resource, null given
update with a text: TypeError: frankenphp_worker_task_update(): Argument #2 ($data) must be of type array, string given
read a received task: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be a stream from frankenphp_worker_task_send(), this is the worker's side of a task
read the signals: TypeError: frankenphp_worker_task_read(): Argument #1 ($stream) must be a task stream from frankenphp_worker_task_send(), worker signals stream given
update a completed task: TypeError: frankenphp_worker_task_update(): Argument #1 ($stream) must be an open task stream; this one is closed or no stream
close it again: TypeError: fclose(): supplied resource is not a valid stream resource
