<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Igor works</title>
<h1>Igor works</h1>
<p>This page was made by PHP <?= PHP_VERSION ?>. Name your application's folder in <code>/etc/igor/Caddyfile</code>, then
<code>systemctl reload igor</code>.</p>
