<?php

/** Its handler. */
final class SendReceiptHandler
{
    public function __invoke(SendReceipt $message): void
    {
        if ($message->order <= 0) {
            throw new DomainException("there is no order $message->order");
        }
        file_put_contents($_SERVER['RECEIPTS'], "receipt for order $message->order to $message->to\n", FILE_APPEND | LOCK_EX);
    }
}
