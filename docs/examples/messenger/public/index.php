<?php

require __DIR__ . '/../src/bus.php';

bus()->dispatch(new SendReceipt((int) ($_GET['order'] ?? 42), 'ada@example.com'));
echo "Thank you!\n";
