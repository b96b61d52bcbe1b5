<?php

// One request of the soak: sends a batch of tasks as its query says, and looks at what comes back.

require_once __DIR__ . '/lib.php';
require_once __DIR__ . '/sender.php';

serve_soak();
