<?php

declare(strict_types=1);

require __DIR__ . '/../photos.php';

$limit = ini_get('upload_max_filesize');
?>
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Photos</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<script src="/app.js" defer></script>
</head>
<body>
<main>
  <header>
    <h1>Photos</h1>
    <p>Upload a picture. Two background workers make <?= count(PHOTOS_SIZES) ?> sizes of it while you watch.</p>
  </header>

  <form id="upload" action="/upload.php" method="post" enctype="multipart/form-data"
        data-sizes="<?= htmlspecialchars(json_encode(PHOTOS_SIZES)) ?>">
    <label class="drop" for="picture">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 16.5 8.6 12l3.6 3.4 2.6-2.4 5.2 4.6M12 3v0M4.5 4.5h15a1 1 0 0 1 1 1v13a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1v-13a1 1 0 0 1 1-1Zm11 5.2a1.2 1.2 0 1 1-2.4 0 1.2 1.2 0 0 1 2.4 0Z"/></svg>
      <span><b>Choose a picture</b> or drop it here</span>
      <small>JPEG, PNG or WebP, up to <?= htmlspecialchars(preg_replace('/(?=[KMG]$)/', ' ', $limit)) ?>B</small>
    </label>
    <input id="picture" name="picture" type="file" accept="<?= implode(',', PHOTOS_TYPES) ?>" required>
    <noscript><p class="problem">This page shows progress with JavaScript, which is switched off.</p></noscript>
  </form>

  <section id="uploads" aria-live="polite"></section>

  <footer>
    Pictures are removed after <?= intdiv(PHOTOS_LIFETIME, 60) ?> minutes.
    Served by Igor, PHP <?= PHP_VERSION ?>.
  </footer>
</main>

<template id="card">
  <article class="card" data-state="sending">
    <div class="title"><h2></h2><output></output></div>
    <div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><i></i></div>
    <p class="problem" role="alert" hidden></p>
    <div class="pictures"></div>
  </article>
</template>
</body>
</html>
