<?php

/** A page of text as PDF 1.4, in a font that every reader has. For more than that take a library. */
final class Pdf
{
    private string $page = '';

    /** Points from the lower left corner of an A4 page, which is 595 by 842. */
    public function text(int $x, int $y, int $size, string $text): void
    {
        $text = addcslashes(mb_convert_encoding($text, 'Windows-1252', 'UTF-8'), '()\\');
        $this->page .= "BT /F1 $size Tf $x $y Td ($text) Tj ET\n";
    }

    public function bytes(): string
    {
        $objects = [
            '<< /Type /Catalog /Pages 2 0 R >>',
            '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
            '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
            '<< /Length ' . strlen($this->page) . " >>\nstream\n{$this->page}endstream",
            '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>',
        ];
        $pdf = "%PDF-1.4\n%\xe2\xe3\xcf\xd3\n";
        $places = '';
        foreach ($objects as $i => $object) {
            $places .= sprintf("%010d 00000 n \n", strlen($pdf));
            $pdf .= $i + 1 . " 0 obj\n$object\nendobj\n";
        }
        $count = count($objects) + 1;
        $start = strlen($pdf);
        return $pdf . "xref\n0 $count\n0000000000 65535 f \n{$places}trailer\n<< /Size $count /Root 1 0 R >>\nstartxref\n$start\n%%EOF\n";
    }
}
