<?php

$catalog = frankenphp_worker_get_vars('catalog');
$article = $catalog['articles'][$_GET['sku'] ?? ''] ?? null;
if ($article === null) {
    http_response_code(404);
    exit("no such article\n");
}
printf("%s: %.2f EUR\n", $article['name'], $article['cents'] / 100);
