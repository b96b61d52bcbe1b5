<?php

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    try {
        $job->complete(thumbnail($job->payload['picture'], $job->payload['width']));
    } catch (DomainException $problem) {
        $job->fail($problem);  // the picture is bad, the worker is well
    }
}

function thumbnail(string $bytes, int $width): string
{
    $info = @getimagesizefromstring($bytes);
    if ($info === false) {
        throw new DomainException('this is no picture');
    }
    // Looked at before it is unpacked: a small file may be a picture of a gigabyte.
    if ($info[0] * $info[1] > 24_000_000) {
        throw new DomainException('this picture has more than 24 megapixels');
    }
    $picture = @imagecreatefromstring($bytes) ?: throw new DomainException('this picture is damaged');
    if (imagesx($picture) > $width) {
        $picture = imagescale($picture, $width, -1, IMG_BICUBIC);
    }
    $file = fopen('php://memory', 'w+b');
    imagejpeg($picture, $file, 85);
    return stream_get_contents($file, -1, 0);
}
