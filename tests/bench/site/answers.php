<?php

// What the HTTP cases ask for, in classic and in worker mode: hello with tasks on the side, and bodies of a megabyte.

function answer(): void
{
    switch ($_GET['what']) {
        case 'task':
            $stream = frankenphp_worker_task_send('echo', ['hello']);
            $answer = frankenphp_worker_task_read($stream);
            fclose($stream);
            echo $answer === ['hello'] ? "hello\n" : "wrong answer\n";
            break;
        case 'fan':
            $streams = [];
            for ($i = 0; $i < 8; ++$i) {
                $streams[] = frankenphp_worker_task_send('echo', [$i]);
            }
            $right = true;
            foreach ($streams as $i => $stream) {
                $right = frankenphp_worker_task_read($stream) === [$i] && $right;
                fclose($stream);
            }
            echo $right ? "hello\n" : "wrong answer\n";
            break;
        case 'in':
            echo strlen(file_get_contents('php://input')), "\n";
            break;
        case 'out':
            echo str_repeat('0123456789abcdef', 65536);
            break;
    }
}
