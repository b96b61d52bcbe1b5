<?php

require __DIR__ . '/answers.php';
answer();
