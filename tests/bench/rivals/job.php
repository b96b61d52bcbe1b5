<?php

require __DIR__ . '/../site/lib.php';
echo serialize(unserialize(stream_get_contents(STDIN)));
