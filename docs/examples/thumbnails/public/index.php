<?php

$width = (int) ($_GET['width'] ?? 320);
if ($width < 16 || $width > 2000) {
    http_response_code(400);
    exit("width must be from 16 to 2000\n");
}
try {
    $task = Igor\Worker::send('thumbnail', ['picture' => file_get_contents('php://input'), 'width' => $width]);
    $small = $task->await();
    header('Content-Type: image/jpeg');
    header('Content-Length: ' . strlen($small));
    echo $small;
} catch (Igor\Overflow) {
    http_response_code(503);
    header('Retry-After: 5');
    echo "too many pictures at once\n";
} catch (Igor\TaskFailed $failed) {
    $bad = $failed->getErrorClass() === DomainException::class;
    http_response_code($bad ? 422 : 500);
    echo $bad ? $failed->getErrorMessage() : 'the picture could not be made smaller', "\n";
}
