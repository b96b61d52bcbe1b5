<?php

/** The table of what has to be delivered. It is on disk: what is in it survives a crash and a restart. */
function outbox(): PDO
{
    $db = new PDO('sqlite:' . $_SERVER['WEBHOOKS_DB'], options: [PDO::ATTR_TIMEOUT => 10]);
    $db->exec('PRAGMA journal_mode = WAL');
    $db->exec('CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, url TEXT NOT NULL, body TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, next REAL NOT NULL DEFAULT 0, error TEXT)');
    return $db;
}
