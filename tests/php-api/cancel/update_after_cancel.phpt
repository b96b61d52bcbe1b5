--TEST--
After a cancel the worker sees end-of-file, its select wakes, each update is "task closed", and its own fclose() is quiet
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
$task = start(<<<'PHP'
    $read = [$stream];
    $none = null;
    $GLOBALS['seen'] = ['before' => [feof($stream), stream_get_meta_data($stream)['eof'], stream_select($read, $none, $none, 0)]];
    frankenphp_worker_task_update($stream, ['started' => true]);
    wait_for_cancel($stream);
    $GLOBALS['seen']['after'] = [feof($stream), stream_get_meta_data($stream)['eof'], fgets($stream), fread($stream, 8192)];
    for ($i = 0; $i < 2; ++$i) {
        try {
            frankenphp_worker_task_update($stream, ['late' => $i]);
            $GLOBALS['seen'][] = 'accepted';
        } catch (RuntimeException $e) {
            $GLOBALS['seen'][] = $e->getMessage();
        }
    }
    $GLOBALS['seen']['fclose'] = fclose($stream);
    PHP);
var_dump(frankenphp_worker_task_read($task));
var_dump(fclose($task));
echo json_encode(ask('reply($stream, $GLOBALS["seen"]);')), "\n";
?>
--EXPECT--
array(1) {
  ["started"]=>
  bool(true)
}
bool(true)
{"before":[false,false,0],"after":[true,true,false,""],"0":"task closed","1":"task closed","fclose":true}
