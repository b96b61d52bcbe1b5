<?php

declare(strict_types=1);

/**
 * The background worker: takes one picture after another and makes four sizes of it.
 *
 * A task's payload carries the paths of files, not the bytes of the picture: worker and web server are on
 * one machine and the upload lies on its disk already, so twenty megabytes need not go through memory
 * twice. With workers on another machine the bytes themselves would be the payload.
 */

require __DIR__ . '/photos.php';

// GD's default is to make a picture with a grey rest out of a file that ends too early. Here that is an error.
ini_set('gd.jpeg_ignore_warning', '0');

$signals = frankenphp_worker_get_signaling_stream();

// Sleeps until there is a task or the server wants the worker to stop.
while (($signal = fgets($signals)) !== false && $signal !== "stop\n") {
    while ($task = frankenphp_worker_task_receive()) {
        [$stream, $payload] = $task;
        try {
            foreach (make_sizes($payload['source'], $payload['folder'], $payload['crash']) as $update) {
                frankenphp_worker_task_update($stream, $update);
            }
        } catch (PictureProblem $problem) {
            // The picture is bad, the worker is fine: an answer like any other.
            frankenphp_worker_task_update($stream, ['problem' => $problem->getMessage()]);
        }
        // Completes the task. An end without it (an uncaught exception, a fatal error) is reported to the
        // page as a failure, and Igor starts this script anew.
        fclose($stream);
        unset($stream, $task);
    }
}

/** Yields an update after each size. */
function make_sizes(string $source, string $folder, bool $crash): Generator
{
    $picture = open_picture($source);
    $width = imagesx($picture);
    if (!is_dir($folder)) {
        mkdir($folder, 0700);
    }
    $done = 0;
    foreach (PHOTOS_SIZES as $name => $wanted) {
        $size = $wanted < $width ? imagescale($picture, $wanted, -1, IMG_BICUBIC) : $picture;
        // Written under another name first: a page never sees half a picture.
        imagejpeg($size, "$folder/$name.part", 85);
        rename("$folder/$name.part", "$folder/$name.jpg");
        yield [
            'size' => $name,
            'width' => imagesx($size),
            'height' => imagesy($size),
            'bytes' => filesize("$folder/$name.jpg"),
            'done' => ++$done,
            'of' => count(PHOTOS_SIZES),
        ];
        if ($crash && $done === 2) {
            // Only with PHOTOS_DEMO=1: asks for more memory than memory_limit allows, and dies of it.
            str_repeat('x', 1 << 40);
        }
    }
}

function open_picture(string $source): GdImage
{
    $info = @getimagesize($source);
    if ($info === false || !in_array($info['mime'], PHOTOS_TYPES, true)) {
        throw new PictureProblem('This file is not a picture that can be read. JPEG, PNG and WebP work.');
    }
    if ($info[0] * $info[1] > PHOTOS_MAX_PIXELS) {
        throw new PictureProblem(sprintf(
            'This picture has %d megapixels; the limit is %d.',
            round($info[0] * $info[1] / 1e6),
            PHOTOS_MAX_PIXELS / 1e6,
        ));
    }
    $picture = @match ($info['mime']) {
        'image/jpeg' => imagecreatefromjpeg($source),
        'image/png' => imagecreatefrompng($source),
        'image/webp' => imagecreatefromwebp($source),
    };
    if ($picture === false) {
        throw new PictureProblem('This picture is damaged: it starts well, but the rest can\'t be read.');
    }
    // Cameras store "turn me" instead of turning. Not every PHP can read that.
    $readable = $info['mime'] === 'image/jpeg' && function_exists('exif_read_data');
    $orientation = $readable ? (@exif_read_data($source)['Orientation'] ?? 1) : 1;
    $angle = [3 => 180, 6 => 270, 8 => 90][$orientation] ?? 0;
    return $angle === 0 ? $picture : imagerotate($picture, $angle, 0);
}
