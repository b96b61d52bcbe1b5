<?php

/** The message. */
final readonly class SendReceipt
{
    public function __construct(public int $order, public string $to)
    {
    }
}
