<?php

require __DIR__ . '/pdf.php';

$inbox = Igor\Worker::current();
while ($job = $inbox->receive()) {
    ['number' => $number, 'to' => $to, 'lines' => $lines] = $job->payload;
    $pdf = new Pdf();
    $pdf->text(72, 760, 20, "Invoice $number");
    $pdf->text(72, 730, 11, "For $to");
    $y = 690;
    foreach ($lines as [$what, $cents]) {
        $pdf->text(72, $y, 11, $what);
        $pdf->text(440, $y, 11, sprintf('%8.2f €', $cents / 100));
        $y -= 18;
    }
    $pdf->text(440, $y - 8, 11, sprintf('%8.2f €', array_sum(array_column($lines, 1)) / 100));
    $job->complete($pdf->bytes());
}
