<?php

$pdf = Igor\Worker::send('invoice', [
    'number' => (int) ($_GET['number'] ?? 1),
    'to' => $_GET['to'] ?? 'Ada Lovelace',
    'lines' => [['Analytical engine, one hour', 4200], ['Punched cards (100)', 350]],
])->await();

header('Content-Type: application/pdf');
header('Content-Disposition: inline; filename="invoice.pdf"');
echo $pdf;
