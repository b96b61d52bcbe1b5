<?php

declare(strict_types=1);

/**
 * What the page's scripts and the worker share: where pictures lie, and for how long.
 *
 *   PHOTOS_DIR/incoming/ID        an upload as it came, never served
 *   PHOTOS_DIR/incoming/ID.json   what the page was told about it
 *   PHOTOS_DIR/pictures/ID/*.jpg  the sizes that the worker made, served by Caddy
 *
 * An ID is 128 random bits: who does not have it can't guess it, and nothing that a client sends ever
 * becomes part of a path without having that form.
 */

const PHOTOS_LIFETIME = 3600;         // seconds until an upload and its pictures are removed
const PHOTOS_MAX_PIXELS = 40_000_000; // a larger picture would not fit into memory_limit
const PHOTOS_SIZES = ['large' => 1600, 'medium' => 800, 'small' => 400, 'thumb' => 160];
const PHOTOS_TYPES = ['image/jpeg', 'image/png', 'image/webp'];

/** A problem with the visitor's picture. Its message is shown to the visitor. */
final class PictureProblem extends RuntimeException
{
}

function photos_folder(string $kind): string
{
    $base = $_SERVER['PHOTOS_DIR'] ?? getenv('PHOTOS_DIR') ?: sys_get_temp_dir() . '/igor-photos';
    $folder = "$base/$kind";
    // Two requests may get here at once; only what holds afterwards counts.
    if (!is_dir($folder) && !@mkdir($folder, 0700, true) && !is_dir($folder)) {
        throw new RuntimeException("can't make the folder $folder; set PHOTOS_DIR to one that the server may write to");
    }
    return $folder;
}

function photos_is_id(mixed $id): bool
{
    return is_string($id) && preg_match('/\A[0-9a-f]{32}\z/', $id) === 1;
}

/** Removes what is older than PHOTOS_LIFETIME. Cheap enough to be done with every upload. */
function photos_clean_up(): void
{
    $limit = time() - PHOTOS_LIFETIME;
    foreach (glob(photos_folder('incoming') . '/*') ?: [] as $file) {
        if (@filemtime($file) < $limit) {
            @unlink($file);
        }
    }
    foreach (glob(photos_folder('pictures') . '/*', GLOB_ONLYDIR) ?: [] as $folder) {
        if (@filemtime($folder) < $limit) {
            array_map(unlink(...), glob("$folder/*") ?: []);
            @rmdir($folder);
        }
    }
}
