--TEST--
Igor\TaskFailed: reason, status, class, message, file, line and trace, as the previous exception
--ENV--
IGOR_WORKERS=eval=../workers/eval.php,num=1,backoff_min_ms=1,max_consecutive_failures=-1
--FILE--
<?php
require __DIR__ . '/../workers/client.inc.php';
foreach ([
    'exception' => 'throw new DomainException("no such picture");',
    'exit' => 'exit(12);',
    'let go' => 'unset($stream);',
    'fatal' => 'eval("class Broken implements Countable {}");',
] as $name => $code) {
    echo "--- $name\n";
    $task = start($code);
    try {
        frankenphp_worker_task_read($task);
    } catch (RuntimeException $e) {
        $cause = $e->getPrevious();
        var_dump($e->getMessage(), get_class($e), get_class($cause), $cause instanceof RuntimeException, $cause->getMessage());
        var_dump($cause->getReason(), $cause->getExitStatus(), $cause->getErrorClass(), $cause->getErrorMessage());
        var_dump($cause->getErrorFile() === null ? null : basename($cause->getErrorFile()), $cause->getErrorLine());
        var_dump($cause->getErrorTrace() === null ? null : explode("\n", $cause->getErrorTrace())[0]);
    }
}
?>
--EXPECTF--
--- exception
string(52) "background worker exited without completing the task"
string(16) "RuntimeException"
string(15) "Igor\TaskFailed"
bool(true)
string(%d) "UncaughtException: DomainException: no such picture in %seval.php(%d) : eval()'d code on line 1"
enum(Igor\Reason::UncaughtException)
int(255)
string(15) "DomainException"
string(15) "no such picture"
string(28) "eval.php(%d) : eval()'d code"
int(1)
string(%d) "#0 %seval.php(%d): eval()"
--- exit
string(52) "background worker exited without completing the task"
string(16) "RuntimeException"
string(15) "Igor\TaskFailed"
bool(true)
string(44) "Exited: the script ended with exit status 12"
enum(Igor\Reason::Exited)
int(12)
NULL
string(36) "the script ended with exit status 12"
NULL
NULL
NULL
--- let go
string(52) "background worker exited without completing the task"
string(16) "RuntimeException"
string(15) "Igor\TaskFailed"
bool(true)
string(66) "Abandoned: the worker let go of the task's stream without fclose()"
enum(Igor\Reason::Abandoned)
int(0)
NULL
string(55) "the worker let go of the task's stream without fclose()"
NULL
NULL
NULL
--- fatal
string(52) "background worker exited without completing the task"
string(16) "RuntimeException"
string(15) "Igor\TaskFailed"
bool(true)
string(%d) "FatalError: Class Broken contains 1 abstract method and must therefore be declared abstract or implement the remaining methods (Countable::count) in %seval.php(%d) : eval()'d code(1) : eval()'d code on line 1"
enum(Igor\Reason::FatalError)
int(255)
NULL
string(133) "Class Broken contains 1 abstract method and must therefore be declared abstract or implement the remaining methods (Countable::count)"
string(47) "eval.php(%d) : eval()'d code(1) : eval()'d code"
int(1)
NULL
