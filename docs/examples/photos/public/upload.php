<?php

declare(strict_types=1);

/** Takes an upload, and answers with its ID. The work itself starts when the page asks for its events. */

require __DIR__ . '/../photos.php';

function answer(int $status, array $what): never
{
    http_response_code($status);
    header('Content-Type: application/json');
    header('Cache-Control: no-store');
    exit(json_encode($what, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE));
}

if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    header('Allow: POST');
    answer(405, ['problem' => 'Upload a picture with POST.']);
}
// A form on another site must not upload in a visitor's name.
if (($_SERVER['HTTP_SEC_FETCH_SITE'] ?? 'same-origin') !== 'same-origin') {
    answer(403, ['problem' => 'Uploads are taken from this page only.']);
}

$limit = ini_get('upload_max_filesize');
$upload = $_FILES['picture'] ?? null;
if (!is_array($upload) || is_array($upload['error'])) {
    // A body over post_max_size reaches a script as no fields at all.
    $tooLarge = (int) ($_SERVER['CONTENT_LENGTH'] ?? 0) > ini_parse_quantity(ini_get('post_max_size'));
    answer($tooLarge ? 413 : 400, ['problem' => $tooLarge ? "This file is larger than $limit." : 'Choose one picture first.']);
}
match ($upload['error']) {
    UPLOAD_ERR_OK => null,
    UPLOAD_ERR_INI_SIZE, UPLOAD_ERR_FORM_SIZE => answer(413, ['problem' => "This file is larger than $limit."]),
    UPLOAD_ERR_NO_FILE => answer(400, ['problem' => 'Choose a picture first.']),
    UPLOAD_ERR_PARTIAL => answer(400, ['problem' => 'The upload was cut off. Please try again.']),
    default => answer(500, ['problem' => 'The server could not store the upload.']),
};

// The type that the browser claims is only a claim: look at the bytes.
$type = (new finfo(FILEINFO_MIME_TYPE))->file($upload['tmp_name']);
if (!in_array($type, PHOTOS_TYPES, true)) {
    answer(415, ['problem' => "This is not a picture that can be read (it looks like $type). JPEG, PNG and WebP work."]);
}

photos_clean_up();
$id = bin2hex(random_bytes(16));
$incoming = photos_folder('incoming');
if (!move_uploaded_file($upload['tmp_name'], "$incoming/$id")) {
    answer(500, ['problem' => 'The server could not store the upload.']);
}
// The visitor's file name is never used as one. It has one effect, and only with PHOTOS_DEMO=1.
$crash = ($_SERVER['PHOTOS_DEMO'] ?? '0') === '1' && $upload['name'] === 'crash.jpg';
file_put_contents("$incoming/$id.json", json_encode(['crash' => $crash]));
answer(201, ['id' => $id]);
