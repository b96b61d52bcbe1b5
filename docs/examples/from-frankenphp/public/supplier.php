<?php

// Stands for another company's server: it takes its time.
usleep(500_000);
echo 1000 + crc32($_GET['name']) % 100;
