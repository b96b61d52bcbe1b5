--TEST--
The signaling stream under PHP's stream functions: sizes, blocking, timeouts, closing it
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,queue=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
// While it works on this task the next one waits in the queue, so the stream has a line to give.
$looks = start(<<<'PHP'
    frankenphp_worker_task_update($stream, ['started' => true]);
    $signals = frankenphp_worker_get_signaling_stream();
    $select = function ($seconds) use ($signals) {
        $read = [$signals];
        $none = null;
        return stream_select($read, $none, $none, $seconds);
    };
    // Until the sender says, by closing this stream, that the next task is in the queue.
    wait_for_cancel($stream);
    $said = [
        'select' => $select(0),
        'fread 8192' => fread($signals, 8192),
        'fgets again' => fgets($signals),
        'fread 3' => fread($signals, 3),
        'the rest' => fgets($signals),
        'fgetc' => fgetc($signals),
        'fgets' => fgets($signals),
        'feof' => feof($signals),
        'meta' => stream_get_meta_data($signals),
        'fwrite' => @fwrite($signals, 'x'),
        'same' => $signals === frankenphp_worker_get_signaling_stream(),
    ];
    [$next] = frankenphp_worker_task_receive();
    $said['nothing more'] = [frankenphp_worker_task_receive(), $select(0)];
    stream_set_blocking($signals, false);
    $said['non-blocking'] = [fgets($signals), fread($signals, 100), feof($signals), stream_get_meta_data($signals)['blocked'], stream_get_meta_data($signals)['timed_out']];
    stream_set_blocking($signals, true);
    stream_set_timeout($signals, 0, 20_000);
    $begin = hrtime(true);
    $said['timeout'] = [fgets($signals), stream_get_meta_data($signals)['timed_out'], feof($signals), hrtime(true) - $begin >= 20e6];
    $begin = hrtime(true);
    $said['select timeout'] = $select(0);
    fclose($signals);
    $again = frankenphp_worker_get_signaling_stream();
    $said['after fclose'] = [is_resource($signals), is_resource($again), $again === frankenphp_worker_get_signaling_stream()];
    $GLOBALS['signals'] = $again;
    frankenphp_worker_task_update($next, ['reply' => $said]);
    fclose($next);
    PHP);
frankenphp_worker_task_read($looks);
$next = start('throw new LogicException("taken by the one before");', timeout: 0);
fclose($looks);
foreach (frankenphp_worker_task_read($next)['reply'] as $name => $value) {
    echo $name, ': ', json_encode($value), "\n";
}
var_dump(frankenphp_worker_task_read($next));
attempt('afterwards', fn() => ask('reply($stream, "alive");'));
?>
--EXPECT--
select: 1
fread 8192: "task\n"
fgets again: "task\n"
fread 3: "tas"
the rest: "k\n"
fgetc: "t"
fgets: "ask\n"
feof: false
meta: {"timed_out":false,"blocked":true,"eof":false,"stream_type":"worker signals","mode":"r","unread_bytes":0,"seekable":false}
fwrite: false
same: true
nothing more: [null,0]
non-blocking: [false,"",false,false,false]
timeout: [false,true,false,true]
select timeout: 0
after fclose: [false,true,true]
NULL
afterwards: "alive"
