<?php

$inbox = Igor\Worker::current();
$inbox->publish(load(getenv('CATALOG_SOURCE')));  // when this fails, the server does not start, and says why
for (;;) {
    $inbox->receive(300)?->complete();  // five minutes, or until somebody sends a task: "load it again"
    if ($inbox->isStopping()) {
        break;
    }
    try {
        $inbox->publish(load(getenv('CATALOG_SOURCE')));
    } catch (RuntimeException|JsonException $problem) {
        // What was published last stays: a page with prices of five minutes ago is better than none.
        error_log("catalog: {$problem->getMessage()}");
    }
}

/** The work that a request should not do: read, parse, arrange for looking up. */
function load(string $source): array
{
    $text = @file_get_contents(preg_match('#^(/|https?:)#', $source) ? $source : __DIR__ . "/$source");
    if ($text === false) {
        throw new RuntimeException("$source can't be read");
    }
    $articles = array_column(json_decode($text, true, flags: JSON_THROW_ON_ERROR), null, 'sku');
    return ['articles' => $articles, 'loaded' => date(DATE_ATOM)];
}
